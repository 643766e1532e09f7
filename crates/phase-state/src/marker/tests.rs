//! The matcher: what it finds, and where the shortcut at the root ends.

use super::{Matcher, ROOT};
use crate::{
    Format,
    MarkerKind::{self, Eos, ThinkEnd, ThinkStart},
};

fn matcher(markers: &[(MarkerKind, &[u32])]) -> Matcher {
    Matcher::new(markers.iter().copied())
}

/// The places, from 1, at which markers end.
fn found(markers: &[(MarkerKind, &[u32])], tokens: &[u32]) -> Vec<(usize, MarkerKind)> {
    let matcher = matcher(markers);
    let mut node = ROOT;
    let mut found = Vec::new();
    for (at, &token) in (1..).zip(tokens) {
        let (next, marker) = matcher.step(node, token);
        node = next;
        if let Some(marker) = marker {
            assert_eq!(node, ROOT, "a match starts over");
            found.push((at, marker));
        }
    }
    found
}

#[test]
fn markers_are_found_where_they_end() {
    type Row<'a> = (
        &'a str,
        &'a [(MarkerKind, &'a [u32])],
        &'a [u32],
        &'a [(usize, MarkerKind)],
    );
    let rows: &[Row<'_>] = &[
        ("nothing to find", &[], &[0, 1, u32::MAX], &[]),
        (
            "single tokens",
            &[(ThinkStart, &[7]), (Eos, &[0])],
            &[1, 7, 0, 7],
            &[(2, ThinkStart), (3, Eos), (4, ThinkStart)],
        ),
        (
            "overlaps itself",
            &[(ThinkEnd, &[1, 1, 2])],
            &[1, 1, 1, 2],
            &[(4, ThinkEnd)],
        ),
        (
            "falls back twice",
            &[(ThinkEnd, &[1, 2, 1, 2, 3]), (Eos, &[2, 2])],
            &[1, 2, 1, 2, 2],
            &[(5, Eos)],
        ),
        (
            "falls back to the middle",
            &[(ThinkEnd, &[1, 2, 1, 3])],
            &[1, 2, 1, 2, 1, 3],
            &[(6, ThinkEnd)],
        ),
        (
            "shares no token with the one before",
            &[(ThinkEnd, &[1, 2, 1])],
            &[1, 2, 1, 2, 1, 1, 2, 1],
            &[(3, ThinkEnd), (8, ThinkEnd)],
        ),
        (
            "of two that end together the longer",
            &[(Eos, &[2]), (ThinkStart, &[1, 2])],
            &[1, 2, 2],
            &[(2, ThinkStart), (3, Eos)],
        ),
        (
            "one within another ends first",
            &[(ThinkStart, &[1, 2, 3]), (Eos, &[2])],
            &[1, 2, 3],
            &[(2, Eos)],
        ),
        (
            "one within another, two levels down",
            &[
                (ThinkStart, &[4, 1, 2, 3, 5]),
                (ThinkEnd, &[1, 2, 6]),
                (Eos, &[2, 3]),
            ],
            &[4, 1, 2, 3, 5],
            &[(4, Eos)],
        ),
        (
            "a beginning that breaks off is none",
            &[(ThinkEnd, &[1, 2, 3])],
            &[1, 2, 4, 3, 1, 3, 2, 3],
            &[],
        ),
    ];
    for (name, markers, tokens, expected) in rows {
        assert_eq!(found(markers, tokens), *expected, "{name}");
    }
}

#[test]
fn every_first_token_leads_away_from_the_root_however_many_there_are() {
    for many in 1..12u32 {
        let ids: Vec<[u32; 2]> = (0..many).map(|id| [10 * id, 1]).collect();
        let markers: Vec<_> = ids.iter().map(|id| (Eos, &id[..])).collect();
        for [first, _] in &ids {
            assert_eq!(
                found(&markers, &[5, *first, 1]),
                [(3, Eos)],
                "{first} of {many}"
            );
        }
        assert_eq!(found(&markers, &[5, 1, 10 * many, 1]), [], "{many}");
    }
}

#[test]
fn the_shortcut_is_taken_up_to_four_first_tokens() {
    let of = |ids: &[[u32; 1]]| {
        let markers: Vec<_> = ids.iter().map(|id| (Eos, &id[..])).collect();
        matcher(&markers).many
    };
    assert!(!of(&[]));
    assert_eq!(
        matcher(&[(Eos, &[7])]).firsts,
        [7; 4],
        "and nothing else is taken for one"
    );
    assert!(!of(&[[1], [2], [3], [4]]));
    assert!(of(&[[1], [2], [3], [4], [5]]));
    // Different ones: markers that begin alike are one.
    let alike: Vec<[u32; 2]> = (0..9).map(|id| [1, id]).collect();
    let alike: Vec<_> = alike.iter().map(|marker| (Eos, &marker[..])).collect();
    assert!(!matcher(&alike).many);
}

#[test]
fn the_most_tokens_a_config_allows_fit() {
    let max = u32::try_from(Format::MAX_MARKER_TOKENS).unwrap();
    let long: Vec<u32> = (0..max).collect();
    let matcher = matcher(&[(ThinkEnd, &long)]);
    let mut node = ROOT;
    for &token in &long[..long.len() - 1] {
        (node, _) = matcher.step(node, token);
    }
    // All the way back, and from there on again.
    assert_eq!(matcher.step(node, 0), (1, None));
    assert_eq!(matcher.step(node, max - 1), (ROOT, Some(ThinkEnd)));

    // Half in one marker, half in single tokens: the one that takes longest if levels are scanned.
    let half = max / 2;
    let singles: Vec<[u32; 1]> = (half..max).map(|id| [id]).collect();
    let mut markers: Vec<_> = singles.iter().map(|id| (Eos, &id[..])).collect();
    markers.push((ThinkEnd, &long[..half as usize]));
    assert_eq!(Matcher::new(markers).nodes.len(), long.len() + 1);
}
