//! A small checker of HTML: tags that balance, ids that are unique and found, references that stay inside.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) ids: BTreeSet<String>,
    /// Whatever a browser would fetch, follow or run.
    pub(crate) references: Vec<String>,
    pub(crate) drawings: usize,
}

/// Elements that fetch or run something, and attributes that do.
const ACTIVE: [&str; 7] = ["script", "iframe", "object", "embed", "base", "link", "img"];
const POINTING: [&str; 6] = ["src", "href", "xlink:href", "action", "data", "srcset"];

pub(crate) fn check(text: &str) -> Result<Page, String> {
    let mut rest = text
        .strip_prefix("<!DOCTYPE html>")
        .ok_or("no document type")?;
    let (mut page, mut open, mut wanted) = (Page::default(), Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let (before, tag) = (&rest[..at], &rest[at + 1..]);
        // In a style sheet, a `>` selects; elsewhere it is of a tag.
        let styled = open.last().is_some_and(|name| name == "style");
        if !styled && before.contains('>') {
            return Err(format!("a bare > in {before:?}"));
        }
        let end = tag.find('>').ok_or_else(|| format!("no end: <{tag:.40}"))?;
        rest = &tag[end + 1..];
        let tag = &tag[..end];
        if let Some(name) = tag.strip_prefix('/') {
            let opened: Option<String> = open.pop();
            if opened.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("no element: <{tag}>"));
        }
        if ACTIVE.contains(&name) {
            page.references.push(format!("<{name}>"));
        }
        for (key, value) in attributes_of(attributes)? {
            if key == "id" && !page.ids.insert(value.clone()) {
                return Err(format!("the id {value} is there twice"));
            }
            if key == "aria-labelledby" {
                wanted.extend(value.split(' ').map(str::to_owned));
            }
            if POINTING.contains(&key) || key.starts_with("on") {
                page.references.push(format!("{key}={value}"));
            }
        }
        page.drawings += usize::from(name == "svg");
        if !closed && name != "meta" {
            open.push(name.to_owned());
        }
    }
    let fetched = ["url(", "@import", "http://", "https://"].into_iter();
    let fetched = fetched.filter(|part| text.contains(part));
    page.references.extend(fetched.map(str::to_owned));
    match wanted.iter().find(|id| !page.ids.contains(*id)) {
        _ if !open.is_empty() => Err(format!("never closed: {open:?}")),
        Some(id) => Err(format!("nothing has the id {id}")),
        None => Ok(page),
    }
}

/// `key="value"` pairs, and nothing else.
fn attributes_of(mut text: &str) -> Result<Vec<(&str, String)>, String> {
    let mut all = Vec::new();
    while !text.trim().is_empty() {
        let bad = || format!("no attribute: {text}");
        let (key, rest) = text.split_once("=\"").ok_or_else(bad)?;
        let (value, rest) = rest.split_once('"').ok_or_else(bad)?;
        let plain = key
            .trim()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-:".contains(c));
        if !plain || value.contains('<') {
            return Err(bad());
        }
        all.push((key.trim(), value.to_owned()));
        text = rest;
    }
    Ok(all)
}
