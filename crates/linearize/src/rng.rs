//! A generator of repeatable randomness: splitmix64, whose state is one word and whose seed may be any.

/// A small deterministic random number generator, for choosing operations.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Two generators with one seed answer alike.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; uneven by less than `bound` in 2⁶⁴, which no test will notice.
    ///
    /// # Panics
    ///
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// One of `choices`.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        assert!(!choices.is_empty(), "nothing to pick from");
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).expect("an index below a length")]
    }
}
