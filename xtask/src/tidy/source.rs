//! As much of Rust's grammar as the rules need: which characters are code, and which code is a test.

/// The text with comments and the contents of literals blanked; lines stay where they are.
pub(super) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if !follows_word(&chars, at) => raw_string_end(&chars, at).unwrap_or(at),
            '\'' => char_end(&chars, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|&c| if c == '\n' { c } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// `code` with the items under `#[cfg(test)]` blanked too.
pub(super) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for marker in ["#[cfg(test)]", "#[cfg(all(test,"] {
        while let Some(start) = out.find(marker) {
            let end = item_end(&out, start + marker.len());
            let blank: String = out[start..end]
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' })
                .collect();
            out.replace_range(start..end, &blank);
        }
    }
    out
}

/// The words of a line of code, each with what stands before it.
pub(super) fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + line[rest..].find(is_word)?;
        let end = line[start..]
            .find(|c| !is_word(c))
            .map_or(line.len(), |length| start + length);
        rest = end;
        Some((&line[..start], &line[start..end]))
    })
}

pub(super) fn has_word(line: &str, word: &str) -> bool {
    words(line).any(|(_, found)| found == word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], start: usize) -> usize {
    chars[start..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(chars.len(), |length| start + length)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Whether the `r` at `at` is the end of a longer word, other than the prefixes of literals `br` and `cr`.
fn follows_word(chars: &[char], at: usize) -> bool {
    let word_at = |back: usize| {
        at.checked_sub(back)
            .is_some_and(|index| is_word(chars[index]))
    };
    let prefix = at > 0 && matches!(chars[at - 1], 'b' | 'c') && !word_at(2);
    word_at(1) && !prefix
}

fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes
    };
    Some(
        (open + 1..chars.len())
            .find(closes)
            .map_or(chars.len(), |at| at + 1 + hashes),
    )
}

/// Nothing where the quote begins a lifetime.
fn char_end(chars: &[char], start: usize) -> Option<usize> {
    if chars.get(start + 1) == Some(&'\\') {
        let close = chars.get(start + 3..)?.iter().position(|&c| c == '\'')?;
        return Some(start + 3 + close + 1);
    }
    (chars.get(start + 2) == Some(&'\'')).then_some(start + 3)
}

/// Where the item ends that begins at or after `from`: behind its block, or at its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return from + at + 1,
            _ => continue,
        }
        if depth == 0 {
            return from + at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        for text in [
            "// unsafe",
            "/// unsafe { }",
            "/* unsafe /* unsafe */ unsafe */",
            r#"let a = "unsafe";"#,
            r#"let a = "\" unsafe \\";"#,
            r###"let a = r#"" unsafe ""#;"###,
            r###"let a = br##""# unsafe"##;"###,
            "let a = \"two\nlines unsafe\";",
            "let unsafe_code = 1;",
        ] {
            assert!(
                !code(text).lines().any(|line| has_word(line, "unsafe")),
                "{text}: {}",
                code(text)
            );
            assert_eq!(code(text).lines().count(), text.lines().count());
        }
    }

    #[test]
    fn what_follows_a_literal_is_code_again() {
        for text in [
            r#"call("a"); unsafe"#,
            r"let a = '\''; unsafe",
            r"let a = '\u{1F980}'; unsafe",
            "let a = '\"'; unsafe",
            "fn f<'a>(a: &'a str) -> &'a str { unsafe }",
            r###"let a = r#"""#; unsafe"###,
            "let r#type = 1; unsafe",
            "let for_r = \"\"; unsafe",
            "/* a */ unsafe",
        ] {
            assert!(has_word(&code(text), "unsafe"), "{text}: {}", code(text));
        }
    }

    #[test]
    fn items_under_test_are_left_out_and_the_next_item_is_not() {
        let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod d;\nfn e() {}\n";
        let kept = without_tests(text);
        assert!(
            ["a", "c", "e"].iter().all(|name| has_word(&kept, name)),
            "{kept}"
        );
        assert!(
            ["b", "d"].iter().all(|name| !has_word(&kept, name)),
            "{kept}"
        );
        assert_eq!(kept.lines().count(), text.lines().count());
    }
}
