//! The wire format: its bytes, its limits, and that nothing from outside makes it panic.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use call_home::wire::{Frame, FrameError, HELLO_LEN, Hello, MAX_REASON, Refusal, VERSION};
use call_home::{StreamId, StreamKind};
use proptest::prelude::*;

const REFUSALS: [Refusal; 7] = [
    Refusal::Malformed,
    Refusal::Version,
    Refusal::Unknown,
    Refusal::WrongKind,
    Refusal::AlreadyClaimed,
    Refusal::Cancelled,
    Refusal::Busy,
];

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut head = BytesMut::new();
    let payload = frame.clone().encode(&mut head);
    [&head[..], &payload].concat()
}

fn decoded(body: &[u8]) -> Result<Frame, FrameError> {
    Frame::decode(Bytes::copy_from_slice(body))
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        kind: StreamKind::Response,
        id: StreamId::from_bytes(*b"0123456789abcdef"),
    })
}

#[test]
fn the_bytes_are_those_of_version_one() {
    assert_eq!(VERSION, 1);
    let hello = encoded(&hello());
    assert_eq!(
        hello,
        b"\x00\x00\x00\x18\x01CHOM\x00\x01\x010123456789abcdef"
    );
    assert_eq!(hello.len(), 4 + HELLO_LEN);
    for (frame, bytes) in [
        (Frame::Welcome, &[0, 0, 0, 1, 2][..]),
        (Frame::Ready, &[0, 0, 0, 1, 4]),
        (Frame::Failed("no".to_owned()), &[0, 0, 0, 3, 5, b'n', b'o']),
        (Frame::Data("A".into()), &[0, 0, 0, 2, 6, b'A']),
        (Frame::Data(Bytes::new()), &[0, 0, 0, 1, 6]),
        (Frame::Sentinel, &[0, 0, 0, 1, 7]),
        (Frame::Stop, &[0, 0, 0, 1, 8]),
        (Frame::Kill, &[0, 0, 0, 1, 9]),
    ] {
        assert_eq!(encoded(&frame), bytes, "{frame:?}");
    }
    for (refusal, code) in REFUSALS.into_iter().zip(1..) {
        assert_eq!(encoded(&Frame::Refused(refusal)), [0, 0, 0, 2, 3, code]);
    }
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(decoded(&[]), Err(FrameError::Empty));
    assert_eq!(decoded(&[0]), Err(FrameError::UnknownTag { tag: 0 }));
    assert_eq!(decoded(&[10, 1]), Err(FrameError::UnknownTag { tag: 10 }));
    for bare in [2, 4, 7, 8, 9] {
        let malformed = FrameError::Malformed { tag: bare, len: 1 };
        assert_eq!(decoded(&[bare, 0]), Err(malformed));
    }
    for code in [0, 8, 255] {
        assert!(
            decoded(&[3, code]).is_err(),
            "no refusal has the code {code}"
        );
    }
    assert!(decoded(&[3]).is_err() && decoded(&[3, 1, 1]).is_err());
    assert!(decoded(&[&[5][..], &[b'a'; MAX_REASON + 1]].concat()).is_err());
}

#[test]
fn a_handshake_is_read_to_its_last_byte() {
    let good = &encoded(&hello())[4..];
    assert_eq!(decoded(good), Ok(hello()));
    for len in 0..good.len() {
        assert!(decoded(&good[..len]).is_err(), "{len} bytes of it");
    }
    assert!(decoded(&[good, b"!"].concat()).is_err());
    let altered = |at: usize, byte| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        decoded(&bytes)
    };
    assert!(matches!(
        altered(1, b'c'),
        Err(FrameError::Malformed { .. })
    ));
    assert_eq!(altered(6, 2), Err(FrameError::Version { theirs: 2 }));
    assert!(matches!(altered(7, 2), Err(FrameError::Malformed { .. })));
    // Another version may go on however it likes.
    assert_eq!(
        decoded(b"\x01CHOM\x01\x00"),
        Err(FrameError::Version { theirs: 256 })
    );
}

#[test]
fn a_reason_is_cut_at_a_character_and_read_whatever_it_is() {
    let long = Frame::Failed("€".repeat(1_000));
    let Ok(Frame::Failed(heard)) = decoded(&encoded(&long)[4..]) else {
        panic!("a reason");
    };
    assert_eq!(heard, "€".repeat(MAX_REASON / 3));
    let latin = decoded(b"\x05caf\xe9");
    assert_eq!(latin, Ok(Frame::Failed("caf\u{fffd}".to_owned())));
}

/// What is decoded at all is the same bytes again, but for a text that was no UTF-8.
fn check(body: &[u8]) {
    if let Ok(frame) = decoded(body) {
        let again = encoded(&frame);
        let length = u32::try_from(again.len() - 4).unwrap();
        assert_eq!(again[..4], length.to_be_bytes());
        if !matches!(&frame, Frame::Failed(reason) if reason.contains('\u{fffd}')) {
            assert_eq!(&again[4..], body);
        }
        let once_more = decoded(&again[4..]);
        assert!(matches!(frame, Frame::Failed(_)) || once_more == Ok(frame));
    }
}

proptest! {
    #[test]
    fn frames_survive(
        id in any::<[u8; 16]>(),
        request in any::<bool>(),
        refusal in 0..REFUSALS.len(),
        reason in "\\PC{0,100}",
        data in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let kind = if request { StreamKind::Request } else { StreamKind::Response };
        let id = StreamId::from_bytes(id);
        for frame in [
            Frame::Hello(Hello { kind, id }),
            Frame::Refused(REFUSALS[refusal]),
            Frame::Failed(reason),
            Frame::Data(data.into()),
        ] {
            prop_assert_eq!(decoded(&encoded(&frame)[4..]), Ok(frame));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(tag in 0u8..12, rest in prop::collection::vec(any::<u8>(), 0..40)) {
        check(&[&[tag][..], &rest].concat());
        check(&rest);
    }
}

/// What the fuzzer began with, and what it ever found, on stable.
#[test]
fn the_corpus_of_the_fuzz_targets() {
    let mut seeds = 0;
    for target in ["frame", "handshake"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        for seed in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(seed.unwrap().path()).unwrap();
            check(&bytes);
            check(&[b"\x01", &bytes[..]].concat());
            seeds += 1;
        }
    }
    assert!(seeds >= 16, "{seeds} seeds");
}
