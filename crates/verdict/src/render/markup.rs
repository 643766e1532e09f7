//! Markup: escaping, and the few elements that are used more than once.

use super::tables::Table;
use crate::text::one_line;

/// Text for an element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Text for a paragraph: escaped, and a number keeps its percent sign on the line. Not for what one
/// copies.
pub(super) fn prose(text: &str) -> String {
    escaped(text).replace(" %", "\u{a0}%")
}

/// An element with escaped text in it.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

/// A paragraph.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", prose(text))
}

/// A table with a caption, in a box of its own that scrolls sideways where the page is narrow. The
/// box can be focused, so that a keyboard scrolls it as well.
pub(super) fn table(caption: &str, table: &Table) -> String {
    let head = table
        .head
        .iter()
        .map(|name| format!("<th scope=\"col\">{}</th>", escaped(name)));
    let head: String = head.collect();
    let row = |row: &Vec<String>| {
        let mut cells = row.iter().map(|cell| prose(cell));
        let name = cells.next().unwrap_or_default();
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n")
    };
    let rows: String = table.rows.iter().map(row).collect();
    let (label, caption) = (escaped(caption), element("caption", caption));
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\"><table>\
         {caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n"
    )
}
