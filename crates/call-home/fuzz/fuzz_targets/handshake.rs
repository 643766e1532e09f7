//! Any bytes behind the tag of a handshake: no panic, and what is decoded is encoded as the same bytes.
#![no_main]

use bytes::{Bytes, BytesMut};
use call_home::wire::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|rest: &[u8]| {
    let body = [&[1], rest].concat();
    if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(&body)) {
        let mut head = BytesMut::new();
        let _ = frame.encode(&mut head);
        assert_eq!(head[4..], body);
    }
});
