//! A small checker of HTML: tags that balance, ids that are unique and found, references that stay inside.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) ids: BTreeSet<String>,
    /// Whatever a browser would fetch or follow.
    pub(crate) references: Vec<String>,
    pub(crate) drawings: usize,
}

/// Elements that have no end.
const VOID: [&str; 5] = ["meta", "br", "hr", "img", "link"];
/// Attributes that point somewhere.
const POINTING: [&str; 9] = [
    "src",
    "href",
    "xlink:href",
    "action",
    "data",
    "poster",
    "srcset",
    "formaction",
    "background",
];

pub(crate) fn check(text: &str) -> Result<Page, String> {
    let body = text
        .strip_prefix("<!DOCTYPE html>")
        .ok_or("no document type")?;
    let mut page = Page::default();
    let mut open: Vec<String> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        between(&rest[..at], open.last())?;
        let tag = &rest[at + 1..];
        let end = tag
            .find('>')
            .ok_or_else(|| format!("a tag without an end: <{}", head(tag)))?;
        rest = &tag[end + 1..];
        let tag = &tag[..end];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        let (tag, closed) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let name_end = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(name_end);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("no name of an element: <{}", head(tag)));
        }
        if ["script", "iframe", "object", "embed", "base", "link"].contains(&name) {
            page.references.push(format!("<{name}>"));
        }
        for (key, value) in attributes_of(attributes)? {
            if key == "id" && !page.ids.insert(value.clone()) {
                return Err(format!("the id {value} is there twice"));
            }
            if key == "aria-labelledby" {
                wanted.extend(value.split_whitespace().map(str::to_owned));
            }
            if POINTING.contains(&key.as_str()) || key.starts_with("on") || value.contains("url(") {
                page.references.push(format!("{key}={value}"));
            }
        }
        page.drawings += usize::from(name == "svg" && attributes.contains("role=\"img\""));
        if !closed && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    if !open.is_empty() {
        return Err(format!("never closed: {open:?}"));
    }
    if let Some(missing) = wanted.iter().find(|id| !page.ids.contains(*id)) {
        return Err(format!("nothing has the id {missing}"));
    }
    for fetched in ["url(", "@import", "http://", "https://"] {
        if text.contains(fetched) {
            page.references.push(fetched.to_owned());
        }
    }
    Ok(page)
}

fn head(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Text between tags: an ampersand begins an entity.
fn between(text: &str, inside: Option<&String>) -> Result<(), String> {
    if inside.is_some_and(|name| name == "style") {
        return Ok(());
    }
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        if !known.iter().any(|entity| text[at..].starts_with(entity)) {
            return Err(format!("a bare ampersand: {}", head(&text[at..])));
        }
    }
    if text.contains('>') {
        return Err(format!("a bare >: {}", head(text)));
    }
    Ok(())
}

/// `key="value"` pairs, every value in double quotes.
fn attributes_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut attributes = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once("=\"")
            .ok_or_else(|| format!("no value: {}", head(rest)))?;
        let (value, after) = after
            .split_once('"')
            .ok_or_else(|| format!("no quote: {}", head(after)))?;
        let proper = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':';
        if key.is_empty() || !key.chars().all(proper) || value.contains('<') {
            return Err(format!("no attribute: {}", head(rest)));
        }
        attributes.push((key.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(attributes)
}

#[test]
fn the_checker_sees_what_it_is_there_to_see() {
    let page = |body: &str| check(&format!("<!DOCTYPE html>{body}"));
    assert!(page("<p id=\"a\">x &amp; y</p>").is_ok());
    for wrong in [
        "<p>",
        "</p>",
        "<p></b>",
        "<b><p></b></p>",
        "<p id=\"a\"></p><p id=\"a\"></p>",
        "<p id=a></p>",
        "<p aria-labelledby=\"b\"></p>",
        "<p>a & b</p>",
        "<p>a > b</p>",
        "<p",
        "< p></p>",
    ] {
        assert!(page(wrong).is_err(), "{wrong}");
    }
    assert!(check("<p></p>").is_err());
    for outside in [
        "<a href=\"x\"></a>",
        "<img src=\"x\">",
        "<p onclick=\"x\"></p>",
        "<p style=\"background: url(x)\"></p>",
        "<style>@import x;</style>",
        "<script></script>",
        "<p>https://x</p>",
    ] {
        let page = page(outside).unwrap_or_else(|fault| panic!("{outside}: {fault}"));
        assert!(!page.references.is_empty(), "{outside}");
    }
}
