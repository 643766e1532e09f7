//! The races of a stream.
