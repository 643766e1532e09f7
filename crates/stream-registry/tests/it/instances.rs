//! Instances that come and go under their streams, on every map.

use std::time::Duration;

use crate::support::{World, instance, poll, ready};
use stream_registry::{
    Registration, StreamError, StreamKind, StreamMap, StreamRegistry, StreamRegistryConfig,
    Tombstoned,
};
use worker_id::EndpointInstanceId;

use StreamKind::{Request, Response};

type Value = u32;

crate::backends::on_every_backend! {
    the_same_instance_id_in_two_namespaces,
    reappearance_within_the_tombstones_life,
    a_stream_moves_to_another_instance,
    established_streams_end_with_their_instance,
    tombstones_are_bounded,
}

fn gone(number: u64) -> StreamError {
    StreamError::InstanceGone {
        instance: instance(number),
    }
}

fn the_same_instance_id_in_two_namespaces<M: StreamMap<Value> + Default + 'static>() {
    let fields = [
        ("prod", "decode", "generate", 7),
        ("test", "decode", "generate", 7),
        ("prod", "prefill", "generate", 7),
        ("prod", "decode", "embed", 7),
        ("prod", "decode", "generate", 8),
    ];
    let world = World::<Value, M>::new();
    let mut streams = fields.map(|(namespace, component, endpoint, id)| {
        let instance = EndpointInstanceId::new(namespace, component, endpoint, id).unwrap();
        let stream = world.streams.register(Response);
        world.streams.associate(&[stream.id()], &instance).unwrap();
        (instance, stream)
    });
    assert_eq!(world.streams.stats().instances, fields.len());
    for cancelled in 0..streams.len() {
        assert_eq!(world.streams.cancel_instance(&streams[cancelled].0), 1);
        for (at, (_, stream)) in streams.iter_mut().enumerate() {
            assert_eq!(poll(stream).is_ready(), at <= cancelled);
        }
        for (instance, _) in &streams[cancelled + 1..] {
            world
                .streams
                .associate(&[], instance)
                .expect("this one is not gone");
        }
    }
    drop(streams);
    world.assert_empty();
}

fn reappearance_within_the_tombstones_life<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let refused = |remaining| {
        let mut halves = [Request, Response].map(|kind| world.streams.register(kind));
        let ids = halves.each_ref().map(Registration::id);
        let tombstoned = world.streams.associate(&ids, &instance(1)).unwrap_err();
        let instance = instance(1);
        assert_eq!(
            tombstoned,
            Tombstoned {
                instance,
                remaining
            }
        );
        assert_eq!(world.entries(), 0);
        for half in &mut halves {
            assert_eq!(ready(half).unwrap_err(), gone(1), "both halves, at once");
        }
    };
    let accepted = || {
        let mut stream = world.streams.register(Response);
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        assert!(poll(&mut stream).is_pending());
    };
    accepted();
    assert_eq!(world.streams.cancel_instance(&instance(1)), 0);
    refused(Duration::from_secs(5));
    world.time.increment(Duration::from_secs(4));
    refused(Duration::from_secs(1));
    assert_eq!(world.streams.stats().tombstones, 1);
    world.time.increment(Duration::from_secs(1));
    accepted();
    assert_eq!(world.streams.stats().tombstones, 0);

    // It is announced again before that.
    world.streams.cancel_instance(&instance(1));
    refused(Duration::from_secs(5));
    assert!(world.streams.clear_tombstone(&instance(1)));
    assert!(!world.streams.clear_tombstone(&instance(1)));
    accepted();

    // It goes again while its tombstone stands.
    world.streams.cancel_instance(&instance(1));
    world.time.increment(Duration::from_secs(3));
    world.streams.cancel_instance(&instance(1));
    assert_eq!(world.streams.stats().tombstones, 1);
    world.time.increment(Duration::from_secs(3));
    refused(Duration::from_secs(2));
    world.assert_empty();

    let tombstone_life = Duration::ZERO;
    let world = World::<Value, M>::with_config(StreamRegistryConfig { tombstone_life });
    world.streams.cancel_instance(&instance(1));
    world
        .streams
        .associate(&[], &instance(1))
        .expect("no life, no tombstone");
}

fn a_stream_moves_to_another_instance<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut stream = world.streams.register(Response);
    for number in [1, 2] {
        world
            .streams
            .associate(&[stream.id()], &instance(number))
            .unwrap();
        assert_eq!(world.streams.stats().instances, 1);
    }
    assert_eq!(world.streams.cancel_instance(&instance(1)), 0);
    assert!(poll(&mut stream).is_pending());
    assert!(
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .is_err()
    );
    assert_eq!(
        ready(&mut stream).unwrap_err(),
        gone(1),
        "whatever it was tied to"
    );
    world.assert_empty();
}

fn established_streams_end_with_their_instance<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut late = world.streams.register(Response);
    let mut early = world.streams.register(Response);
    world
        .streams
        .associate(&[early.id()], &instance(1))
        .unwrap();
    let mut handles = [early.id(), late.id()].map(|id| {
        let claim = world.streams.claim(id, Response).unwrap();
        claim.establish(Value::default()).unwrap()
    });
    world.streams.associate(&[late.id()], &instance(1)).unwrap();
    assert!(ready(&mut early).is_ok());
    assert_eq!(world.streams.cancel_instance(&instance(1)), 2);
    assert!(handles.iter_mut().all(crate::support::Ends::has_ended));
    assert!(
        ready(&mut late).is_ok(),
        "one answer, and it was decided before"
    );
    world.assert_empty();
}

fn tombstones_are_bounded<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let most = StreamRegistry::<Value, M>::MAX_TOMBSTONES;
    let all = 2 * most as u64;
    for number in 0..all {
        world.streams.cancel_instance(&instance(number));
    }
    let stands = |number| match world.streams.associate(&[], &instance(number)) {
        Ok(()) => false,
        Err(Tombstoned { .. }) => true,
    };
    assert_eq!(world.streams.stats().tombstones, most);
    assert!((all - 1_000..all).all(stands), "the newest stand");
    assert!(!(0..1_000).any(stands), "the oldest made room");
    world.assert_empty();
}
