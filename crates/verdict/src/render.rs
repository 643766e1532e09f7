//! What people look at: lines on the terminal, Markdown for a record, one HTML page.
//!
//! Each is a function from results and decisions to a `String`, and says the same in the same
//! words, since all words come from the [decision](mod@crate::decide). One convention holds
//! everywhere: a *gain* is the share of the incumbent's time that an arm saves, in per cent. The
//! page is one file: its style and its drawings are inside it, and nothing in it points anywhere
//! else, so that it can be mailed, archived, and read offline in ten years.
//!
//! # Invariants
//!
//! 1. Every text that comes from data is escaped for where it goes: markup cannot enter a page, nor
//!    a pipe a table, nor a control character a terminal.
//! 2. Equal input, equal bytes: a record's spliced table can be checked by rendering it again.

mod chart;
mod html;
mod markdown;
mod markup;
mod tables;
mod terminal;
mod words;

pub use html::html;
pub use markdown::{markdown, section};
pub use terminal::{line, terminal};
pub use words::limits;
