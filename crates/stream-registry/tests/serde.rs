//! Text and bytes of ids.
