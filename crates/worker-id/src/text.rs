//! The two things every text form here needs: a canonical number, and a piece of text short enough
//! for an error.

use std::str::FromStr;

use crate::NumberRule;

/// Longest piece of rejected text kept in an error, in bytes. A worker's text is at most 53 bytes,
/// so a part that is wrong always begins inside the excerpt.
const EXCERPT: usize = 64;

/// Reads `text` if it is what `Display` writes for an integer of `T`, of which `max` is the
/// largest.
pub(crate) fn number<T: FromStr>(text: &str, max: u64) -> Result<T, NumberRule> {
    if text.is_empty() {
        return Err(NumberRule::Empty);
    }
    // Before `parse`, which would take a leading `+`.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberRule::NotDigits);
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(NumberRule::LeadingZero);
    }
    // Digits alone can fail in one way only.
    text.parse().map_err(|_| NumberRule::TooLarge { max })
}

/// `text`, or its beginning and an ellipsis: an error must not carry (or log) a megabyte that
/// somebody sent.
pub(crate) fn excerpt(text: &str) -> Box<str> {
    if text.len() <= EXCERPT {
        return text.into();
    }
    let mut end = EXCERPT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end]).into()
}
