//! What a request asks for, read from its headers.

use http::HeaderMap;
use thiserror::Error;

use crate::Selection;

const PREFER_PD: &str = "x-prefer-pd";
const MODEL_ID: &str = "x-model-id";

/// A header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the header `{name}` is not UTF-8: send text, or leave it out")]
#[non_exhaustive]
pub struct HeaderError {
    /// The header.
    pub name: &'static str,
}

impl<'a> Selection<'a> {
    /// Reads `x-model-id`, and `x-prefer-pd`, where `true` and `1` say yes and everything else says
    /// no. Of a header that is there several times the first counts. Allocates nothing.
    ///
    /// An empty `x-model-id` is a model with an empty name, which no manager accepts: see
    /// [`SelectError::EmptyModel`](crate::SelectError::EmptyModel).
    ///
    /// # Errors
    ///
    /// [`HeaderError`], if one of the two is not UTF-8.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Self, HeaderError> {
        let prefer_pd = text(headers, PREFER_PD)?;
        Ok(Self {
            model: text(headers, MODEL_ID)?,
            prefer_pd: matches!(prefer_pd, Some("true" | "1")),
            draining: false,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, HeaderError> {
    let value = headers
        .get(name)
        .map(|value| str::from_utf8(value.as_bytes()));
    value.transpose().map_err(|_| HeaderError { name })
}
