//! Frames cut and gathered: whatever the sizes, wherever the cuts, and what a length may not do.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;
use crate::wire::Refusal;

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = prop_oneof![
        Just(Frame::Welcome),
        Just(Frame::Refused(Refusal::Busy)),
        Just(Frame::Ready),
        Just(Frame::Sentinel),
        Just(Frame::Stop),
        "\\PC{0,40}".prop_map(Frame::Failed),
        (0..3 * COPIED, any::<u8>()).prop_map(|(len, byte)| Frame::Data(vec![byte; len].into())),
    ];
    prop::collection::vec(frame, 0..20)
}

/// All that is in an outbox, taken in steps.
fn drained(mut outbox: Outbox, steps: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut steps = steps.iter().cycle();
    while outbox.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 4];
        let count = outbox.chunks_vectored(&mut slices);
        assert!(
            count > 0 && !slices[0].is_empty(),
            "there is something to write"
        );
        assert_eq!(&*slices[0], outbox.chunk());
        let offered: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let step = steps.next().map_or(1, |&step| step.clamp(1, offered.len()));
        bytes.extend_from_slice(&offered[..step]);
        outbox.advance(step);
    }
    bytes
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        frames in frames(),
        steps in prop::collection::vec(1usize..4096, 1..8),
        cuts in prop::collection::vec(1usize..4096, 1..8),
    ) {
        let mut outbox = Outbox::default();
        frames.iter().cloned().for_each(|frame| outbox.push(frame));
        let promised = outbox.remaining();
        let bytes = drained(outbox, &steps);
        prop_assert_eq!(bytes.len(), promised);

        let mut decoder = FrameDecoder::new(1 << 16);
        let (mut buffer, mut decoded) = (BytesMut::new(), Vec::new());
        let mut rest = &bytes[..];
        for &cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            buffer.extend_from_slice(now);
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                decoded.push(frame);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = FrameDecoder::new(100);
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = decoder.decode(&mut buffer) {}
    }
}

#[test]
fn a_large_payload_is_not_copied_in_either_direction() {
    let payload = Bytes::from(vec![1; COPIED + 1]);
    let mut outbox = Outbox::default();
    outbox.push(Frame::Stop);
    outbox.push(Frame::Data(payload.clone()));
    outbox.push(Frame::Sentinel);
    assert_eq!(outbox.queue[1].as_ptr(), payload.as_ptr());
    let mut slices = [IoSlice::new(&[]); 8];
    assert_eq!(
        outbox.chunks_vectored(&mut slices),
        3,
        "one write for all of it"
    );

    let mut decoder = FrameDecoder::new(1 << 16);
    let mut buffer = BytesMut::from(&drained(outbox, &[usize::MAX])[..]);
    let within = buffer.as_ptr_range();
    assert_eq!(decoder.decode(&mut buffer), Ok(Some(Frame::Stop)));
    let Ok(Some(Frame::Data(data))) = decoder.decode(&mut buffer) else {
        panic!("the payload");
    };
    assert!(within.contains(&data.as_ptr()), "a view of the buffer");
}

#[test]
fn a_length_too_large_is_refused_before_anything_is_allocated() {
    for (len, most) in [(101, 100), (u32::MAX, 16 << 20)] {
        let mut decoder = FrameDecoder::new(most);
        let mut buffer = BytesMut::with_capacity(64);
        buffer.put_u32(len);
        let refused = decoder.decode(&mut buffer);
        assert_eq!(refused, Err(Cut::Frame(FrameError::TooLong { most })));
        assert_eq!(
            buffer.capacity(),
            64 - if buffer.is_empty() { 4 } else { 0 }
        );
    }
    let mut decoder = FrameDecoder::new(100);
    let mut buffer = BytesMut::new();
    buffer.put_u32(100);
    assert_eq!(
        decoder.decode(&mut buffer),
        Ok(None),
        "as long as it may be"
    );
}
