//! Reading a TOML table key by key, with the line of whatever is wrong.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{CriteriaError, Problem};

/// The line, from 1, of a byte of `text`.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

/// The file that errors name.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn error(self, at: usize, problem: Problem) -> CriteriaError {
        CriteriaError {
            file: self.file.to_owned(),
            line: line_at(self.text, at),
            problem,
        }
    }
}

/// A name or text, and where it stands.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: usize,
}

/// A table, and what to call it in an error.
#[derive(Clone)]
pub(super) struct Table<'a> {
    pub(super) source: Source<'a>,
    pub(super) name: String,
    pub(super) at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn root(source: Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            source,
            name: "the file".to_owned(),
            at: 0,
            entries: document.get_ref(),
        }
    }

    /// Insists that it holds no other keys.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), CriteriaError> {
        let unknown = self.entries.iter().filter(|(key, _)| {
            let key: &str = key.get_ref();
            !allowed.contains(&key)
        });
        match unknown.min_by_key(|(key, _)| key.span().start) {
            None => Ok(()),
            Some((key, _)) => Err(self.source.error(
                key.span().start,
                Problem::UnknownKey {
                    key: key.get_ref().to_string(),
                    table: self.name.clone(),
                    allowed: allowed.join(", "),
                },
            )),
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    fn required(&self, key: &str) -> Result<&'a Spanned<DeValue<'a>>, CriteriaError> {
        self.value(key).ok_or_else(|| {
            let (key, table) = (key.to_owned(), self.name.clone());
            self.source
                .error(self.at, Problem::MissingKey { key, table })
        })
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> CriteriaError {
        let problem = Problem::WrongType {
            key: key.to_owned(),
            found: format!("of type {}", value.get_ref().type_str()),
            expected: expected.to_owned(),
        };
        self.source.error(value.span().start, problem)
    }

    pub(super) fn text(&self, key: &str) -> Result<Text, CriteriaError> {
        let value = self.required(key)?;
        let text = value.get_ref().as_str();
        let text = text.ok_or_else(|| self.wrong(key, value, "a text"))?;
        Ok(Text {
            text: text.to_owned(),
            at: value.span().start,
        })
    }

    /// Empty where the key is missing.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<Text>, CriteriaError> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let items = value.get_ref().as_array();
        let items = items.ok_or_else(|| self.wrong(key, value, "a list of texts"))?;
        let text = |item: &Spanned<DeValue<'_>>| match item.get_ref().as_str() {
            Some(text) => Ok(Text {
                text: text.to_owned(),
                at: item.span().start,
            }),
            None => Err(self.wrong(key, item, "a text in this list")),
        };
        items.iter().map(text).collect()
    }

    pub(super) fn whole(&self, key: &str, least: u64) -> Result<u64, CriteriaError> {
        let value = self.required(key)?;
        let expected = "a whole number, not negative";
        let integer = value.get_ref().as_integer();
        let number = integer
            .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok())
            .ok_or_else(|| self.wrong(key, value, expected))?;
        if number < least {
            return Err(self.too_small(key, value, &number.to_string(), &least.to_string()));
        }
        Ok(number)
    }

    /// A number with where it stands; `None` where the key is missing.
    pub(super) fn number(&self, key: &str) -> Result<Option<(f64, usize)>, CriteriaError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.wrong(key, value, "a number"))?;
        Ok(Some((number, value.span().start)))
    }

    pub(super) fn too_small(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        found: &str,
        least: &str,
    ) -> CriteriaError {
        let problem = Problem::TooSmall {
            key: key.to_owned(),
            found: found.to_owned(),
            least: least.to_owned(),
        };
        self.source.error(value.span().start, problem)
    }

    /// The table under `key`.
    pub(super) fn table(&self, key: &str) -> Result<Self, CriteriaError> {
        let value = self.required(key)?;
        self.child(key, format!("[{key}]"), value)
    }

    /// The tables `[key.*]` with their names, in the order of the file.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<(Text, Self)>, CriteriaError> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let all = self.child(key, format!("[{key}]"), value)?;
        let mut tables = Vec::new();
        for (name, value) in all.entries {
            let text = name.get_ref().to_string();
            let table = self.child(key, format!("[{key}.{text}]"), value)?;
            let at = name.span().start;
            tables.push((Text { text, at }, table));
        }
        tables.sort_by_key(|(name, _)| name.at);
        Ok(tables)
    }

    fn child(
        &self,
        key: &str,
        name: String,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Result<Self, CriteriaError> {
        let entries = value.get_ref().as_table();
        let entries = entries.ok_or_else(|| self.wrong(key, value, "a table"))?;
        Ok(Self {
            source: self.source,
            name,
            at: value.span().start,
            entries,
        })
    }
}
