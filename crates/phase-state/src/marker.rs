//! Which marker, if any, ends on this token.
//!
//! # Design
//!
//! One [`Matcher`] for each phase, an Aho–Corasick automaton over the markers that the phase looks
//! for (Aho and Corasick, 1975). A node is a beginning of a marker, and stands for the longest
//! suffix of the tokens so far that is one; node 0, the root, for none. The node is all that a
//! request keeps, so a marker may be split between steps anywhere.
//!
//! # Why
//!
//! - *Not a window of the last tokens*: it would be as long as the longest marker, in every
//!   request.
//! - *Not a counter of tokens matched*: `[1, 1, 2]` in `1, 1, 1, 2` needs to fall back to a shorter
//!   beginning, not to none.
//! - *The first tokens are compared in place.* Nearly all tokens come at the root and begin no
//!   marker; four comparisons without a branch say so. (That suffices for markers of any length:
//!   only first tokens lead away from the root.)
//! - *A tree, not a table*, for all other tokens: they are rare, and a table is nodes times
//!   vocabulary.
//!
//! # Invariants
//!
//! - Nodes are numbered by depth; what a node falls back to is less deep.
//! - No marker begins with another, so that starting over after a match loses no longer one.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::MarkerKind;

/// Finds the markers of one phase in a sequence of tokens.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// The tokens that lead away from the root, some of them several times, or all zero where none
    /// does. Says nothing if `many`.
    firsts: [u32; 4],
    /// More first tokens than `firsts` has room for.
    many: bool,
    edges: BTreeMap<(u16, u32), u16>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// The longest proper suffix of this node that is a node.
    fall: u16,
    /// The longest marker that ends here.
    ends: Option<MarkerKind>,
    /// The first marker that leads through here, by its place among those of its kind, and how many of its tokens have
    /// come.
    on_the_way: (u16, u16),
}

/// No marker is under way.
pub(crate) const ROOT: u16 = 0;

impl Matcher {
    /// For markers of a config that validates: none empty, none a prefix of another, no more tokens
    /// than the bound allows, so that a `u16` numbers the nodes.
    pub(crate) fn new<'a>(markers: impl IntoIterator<Item = (MarkerKind, &'a [u32])>) -> Self {
        let mut markers: Vec<(_, u16, _)> = numbered(markers).collect();
        markers.sort_by_key(|(_, _, marker)| Reverse(marker.len()));

        let mut matcher = Self {
            firsts: [0; 4],
            many: false,
            edges: BTreeMap::new(),
            nodes: vec![Node {
                fall: ROOT,
                ends: None,
                on_the_way: (0, 0),
            }],
        };
        // Level by level, so that whatever a new node may fall back to is there already.
        let mut reached = vec![ROOT; markers.len()];
        for depth in 0..markers.first().map_or(0, |(_, _, marker)| marker.len()) {
            for (at, &(kind, number, marker)) in reached.iter_mut().zip(&markers) {
                let Some(&token) = marker.get(depth) else {
                    break; // The longest come first: nor has any of the rest so many tokens.
                };
                *at = matcher.child(*at, token, number);
                if depth + 1 == marker.len() {
                    matcher.nodes[usize::from(*at)].ends = Some(kind);
                }
            }
        }

        let firsts: Vec<u32> = matcher
            .edges
            .range(..=(ROOT, u32::MAX))
            .map(|(&(_, token), _)| token)
            .collect();
        matcher.many = firsts.len() > matcher.firsts.len();
        for (slot, token) in matcher.firsts.iter_mut().zip(firsts.into_iter().cycle()) {
            *slot = token;
        }
        matcher
    }

    /// The first marker that is under way at `node`, by its place among those of its kind, and how many of its tokens have
    /// come; the first of all at the root. Says nothing of a matcher for several kinds.
    pub(crate) fn on_the_way(&self, node: u16) -> (u16, u16) {
        self.nodes[usize::from(node)].on_the_way
    }

    /// How many nodes there are; those below are nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Goes on from `node` with `token`: the next node, and the marker that ends on this token. A
    /// match starts over at the root.
    #[inline]
    pub(crate) fn step(&self, node: u16, token: u32) -> (u16, Option<MarkerKind>) {
        if self.is_plain(node, token) {
            return (ROOT, None);
        }
        self.step_in_tree(node, token)
    }

    /// Whether a token at this node is no part of a marker, so that it leads from the root to the root.
    #[inline]
    pub(crate) fn is_plain(&self, node: u16, token: u32) -> bool {
        node == ROOT
            && !(if self.many {
                self.begins(token)
            } else {
                self.is_first(token)
            })
    }

    #[inline]
    fn is_first(&self, token: u32) -> bool {
        let [a, b, c, d] = self.firsts;
        (token == a) | (token == b) | (token == c) | (token == d)
    }

    #[cold]
    #[inline(never)]
    fn begins(&self, token: u32) -> bool {
        self.edges.contains_key(&(ROOT, token))
    }

    #[cold]
    #[inline(never)]
    fn step_in_tree(&self, node: u16, token: u32) -> (u16, Option<MarkerKind>) {
        let next = self.follow(node, token);
        match self.nodes[usize::from(next)].ends {
            None => (next, None),
            ends => (ROOT, ends),
        }
    }

    /// The longest suffix of `node` and `token` that is a node. At most two lookups a token over a
    /// sequence, since each token leads down by one level at most; for a single one, as many as the
    /// longest marker has tokens.
    fn follow(&self, mut node: u16, token: u32) -> u16 {
        loop {
            if let Some(&next) = self.edges.get(&(node, token)) {
                return next;
            }
            if node == ROOT {
                return ROOT;
            }
            node = self.nodes[usize::from(node)].fall;
        }
    }

    fn child(&mut self, parent: u16, token: u32, number: u16) -> u16 {
        if let Some(&child) = self.edges.get(&(parent, token)) {
            let first = &mut self.nodes[usize::from(child)].on_the_way.0;
            *first = number.min(*first);
            return child;
        }
        let fall = self.follow(self.nodes[usize::from(parent)].fall, token);
        let ends = self.nodes[usize::from(fall)].ends;
        let child = u16::try_from(self.nodes.len()).expect("a valid config bounds the tokens");
        let come = self.nodes[usize::from(parent)].on_the_way.1 + 1;
        self.nodes.push(Node {
            fall,
            ends,
            on_the_way: (number, come),
        });
        self.edges.insert((parent, token), child);
        child
    }
}

/// With the place of each marker among those of its kind that are given one after the other.
fn numbered<'a>(
    markers: impl IntoIterator<Item = (MarkerKind, &'a [u32])>,
) -> impl Iterator<Item = (MarkerKind, u16, &'a [u32])> {
    let (mut last, mut next) = (None, 0_u16);
    markers.into_iter().map(move |(kind, marker)| {
        let number = if last == Some(kind) { next } else { 0 };
        (last, next) = (Some(kind), number.saturating_add(1));
        (kind, number, marker)
    })
}

#[cfg(test)]
mod tests;
