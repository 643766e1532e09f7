//! Rows by place, in chunks that snapshots share: a clone is a pointer for each chunk, and a change
//! copies one chunk.

use std::array;
use std::sync::Arc;

/// How many rows a chunk has.
const CHUNK: usize = 64;

type Chunk<T> = [Option<Arc<T>>; CHUNK];

pub(crate) struct Table<T> {
    chunks: Vec<Arc<Chunk<T>>>,
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            len: self.len,
        }
    }
}

impl<T> Table<T> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&Arc<T>> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?[place % CHUNK].as_ref()
    }

    /// In the order of places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter().flatten())
    }

    /// Lets a row stand at a place, or nothing, and answers what stood there.
    pub(crate) fn set(&mut self, place: u32, row: Option<Arc<T>>) -> Option<Arc<T>> {
        let place = place as usize;
        while self.chunks.len() <= place / CHUNK {
            self.chunks.push(Arc::new(array::from_fn(|_| None)));
        }
        self.len += usize::from(row.is_some());
        let chunk = Arc::make_mut(&mut self.chunks[place / CHUNK]);
        let before = std::mem::replace(&mut chunk[place % CHUNK], row);
        self.len -= usize::from(before.is_some());
        let vacant = |chunk: &Arc<Chunk<T>>| chunk.iter().all(Option::is_none);
        while before.is_some() && self.chunks.last().is_some_and(vacant) {
            self.chunks.pop();
        }
        before
    }
}
