//! Any bytes as a frame: no panic, and what is decoded is encoded as the same bytes.
#![no_main]

use bytes::{Bytes, BytesMut};
use call_home::wire::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(body)) {
        let mut head = BytesMut::new();
        let lossy = matches!(&frame, Frame::Failed(reason) if reason.contains('\u{fffd}'));
        let payload = frame.encode(&mut head);
        assert!(lossy || [&head[4..], &payload].concat() == body);
    }
});
