//! The place in a record that is written by a machine: between two comments, each on a line of its own.

use std::error::Error;
use std::fmt;

pub(super) const BEGIN: &str = "<!-- measured: begin -->";
pub(super) const END: &str = "<!-- measured: end -->";

/// A record, taken apart at its markers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measured<'a> {
    /// Up to the first marker, with its line.
    before: &'a str,
    /// What is between them.
    pub(super) section: &'a str,
    /// From the second marker's line on.
    after: &'a str,
}

impl<'a> Measured<'a> {
    pub(super) fn find(text: &'a str) -> Result<Self, MarkerError> {
        let begin = only(text, BEGIN)?;
        let end = only(text, END)?;
        if end.start < begin.start {
            return Err(MarkerError::Order { line: end.line });
        }
        Ok(Self {
            before: &text[..begin.end],
            section: &text[begin.end..end.start],
            after: &text[end.start..],
        })
    }

    /// Nobody has measured yet.
    pub(super) fn is_empty(&self) -> bool {
        self.section.trim().is_empty()
    }

    pub(super) fn splice(&self, section: &str) -> String {
        [self.before, section, self.after].concat()
    }

    /// The line of the record on which the section first differs from the one that should be there.
    pub(super) fn differs(&self, expected: &str) -> Option<usize> {
        if self.section == expected {
            return None;
        }
        let same = self.section.split('\n').zip(expected.split('\n'));
        let same = same.take_while(|(is, should)| is == should).count();
        Some(self.first_line() + same)
    }

    pub(super) fn first_line(&self) -> usize {
        self.before.lines().count() + 1
    }
}

/// A marker's line, with its end of line.
struct Line {
    /// Counted from 1.
    line: usize,
    start: usize,
    end: usize,
}

fn only(text: &str, marker: &'static str) -> Result<Line, MarkerError> {
    let mut found = None;
    let mut start = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let (line, end) = (index + 1, start + whole.len());
        if whole.trim() == marker {
            if found.is_some() {
                return Err(MarkerError::Twice { marker, line });
            }
            found = Some(Line { line, start, end });
        }
        start = end;
    }
    found.ok_or(MarkerError::Missing { marker })
}

/// A record in which it is not clear where the section goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MarkerError {
    Missing { marker: &'static str },
    Twice { marker: &'static str, line: usize },
    Order { line: usize },
}

impl MarkerError {
    /// The line to look at; the first where there is none to point to.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Missing { .. } => 1,
            Self::Twice { line, .. } | Self::Order { line } => *line,
        }
    }
}

impl fmt::Display for MarkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { marker } => write!(
                f,
                "no line is `{marker}`; the section goes between `{BEGIN}` and `{END}`, each on a line of its own"
            ),
            Self::Twice { marker, .. } => {
                write!(f, "a second line is `{marker}`; a record has one section")
            }
            Self::Order { .. } => write!(f, "`{END}` comes before `{BEGIN}`"),
        }
    }
}

impl Error for MarkerError {}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "# 0003\n\nText about `<!-- measured: begin -->`.\n\n<!-- measured: begin -->\nold\n\
                          <!-- measured: end -->\n\nMore.";

    #[test]
    fn a_splice_keeps_what_is_around_the_markers() {
        let spliced = Measured::find(RECORD).unwrap().splice("\nnew\nand newer\n");
        assert_eq!(spliced, RECORD.replace("old\n", "\nnew\nand newer\n"));
        let again = Measured::find(&spliced).unwrap();
        assert_eq!(again.section, "\nnew\nand newer\n");
        assert_eq!(again.splice("old\n"), RECORD);
    }

    #[test]
    fn only_whitespace_is_an_empty_section() {
        let empty = RECORD.replace("old\n", "");
        assert!(Measured::find(&empty).unwrap().is_empty());
        let blank = RECORD.replace("old\n", "\n  \n");
        assert!(Measured::find(&blank).unwrap().is_empty());
        assert!(!Measured::find(RECORD).unwrap().is_empty());
    }

    #[test]
    fn a_record_without_its_markers_is_refused_and_told_which() {
        for marker in [BEGIN, END] {
            let without = RECORD.replace(&format!("\n{marker}\n"), "\n");
            assert_eq!(
                Measured::find(&without),
                Err(MarkerError::Missing { marker })
            );
        }
        let swapped = format!("{END}\n{BEGIN}\n");
        assert_eq!(
            Measured::find(&swapped),
            Err(MarkerError::Order { line: 1 })
        );
        let twice = format!("{RECORD}\n{END}\n");
        let error = MarkerError::Twice {
            marker: END,
            line: 10,
        };
        assert_eq!(Measured::find(&twice), Err(error));
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let section = |text: &str| format!("a\n{BEGIN}\n{text}{END}\n");
        let record = section("1\n2\n3\n");
        let measured = Measured::find(&record).unwrap();
        assert_eq!(measured.differs("1\n2\n3\n"), None);
        assert_eq!(measured.differs("1\n2\nthree\n"), Some(5));
        assert_eq!(measured.differs("1\n2\n3\n4\n"), Some(6));
        assert_eq!(measured.differs("1\n"), Some(4));
    }
}
