//! Markup: escaping, and the few elements that are used more than once.

use super::tables::Table;
use crate::text::one_line;

/// A cell of a table with more characters than these is a sentence, and may be broken.
const LONG: usize = 40;

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

/// Text for a paragraph: escaped, and a number keeps its percent sign on the line. Not for what one copies.
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

/// A table with a caption, in a box of its own that scrolls sideways where the page is narrow. The box can be focused, so
/// that a keyboard scrolls it as well.
pub(super) fn table(caption: &str, table: &Table) -> String {
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{}\"><table>{}<thead><tr>",
        escaped(caption),
        element("caption", caption)
    );
    for name in &table.head {
        out.push_str(&format!("<th scope=\"col\">{}</th>", escaped(name)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let long = cell.chars().count() > LONG;
            let cell = escaped(cell);
            out.push_str(&match (column, long) {
                (0, _) => format!("<th scope=\"row\">{cell}</th>"),
                (_, true) => format!("<td class=\"long\">{cell}</td>"),
                (_, false) => format!("<td>{cell}</td>"),
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}
