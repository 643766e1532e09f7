//! Configs: the defaults, and every rule with its error.

use phase_state::{ConfigError, MarkerKind, PhaseRouterConfig, ThresholdField};
use static_assertions::assert_impl_all;

assert_impl_all!(PhaseRouterConfig: Clone, Default, Send, Sync);
assert_impl_all!(ConfigError: std::error::Error, Send, Sync);

fn with(change: impl FnOnce(&mut PhaseRouterConfig)) -> Result<(), ConfigError> {
    let mut config = PhaseRouterConfig::with_marker_ids([1], [2], [3]);
    change(&mut config);
    config.validate()
}

#[test]
fn the_defaults_are_those_of_the_documentation_and_valid() {
    let config = PhaseRouterConfig::default();
    let expected = PhaseRouterConfig {
        ema_alpha: 0.05,
        transition_entropy_threshold: 2.5,
        rpdi_threshold: 3.0,
        eat_ema_variance_threshold: 0.001,
        min_think_tokens: 512,
        max_think_tokens: 32_768,
        think_start_markers: vec![],
        think_end_markers: vec![],
        eos_markers: vec![],
        reentry: false,
    };
    assert_eq!(config, expected);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn marker_ids_are_markers_of_one_token() {
    let config = PhaseRouterConfig::with_marker_ids([1], vec![2, 3], 4..7);
    let expected = PhaseRouterConfig {
        think_start_markers: vec![vec![1]],
        think_end_markers: vec![vec![2], vec![3]],
        eos_markers: vec![vec![4], vec![5], vec![6]],
        ..PhaseRouterConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn alpha_is_above_0_and_at_most_1() {
    for good in [f32::MIN_POSITIVE, 0.05, 1.0] {
        assert_eq!(with(|config| config.ema_alpha = good), Ok(()));
    }
    for bad in [0.0, -0.0, -0.1, 1.000_001, f32::NAN, f32::INFINITY] {
        let error = with(|config| config.ema_alpha = bad).unwrap_err();
        let ConfigError::Alpha { value } = error else {
            panic!("{error:?}");
        };
        assert_eq!(value.to_bits(), bad.to_bits());
    }
}

#[test]
fn thresholds_are_finite_and_not_negative() {
    type Field = fn(&mut PhaseRouterConfig) -> &mut f32;
    let fields: [(ThresholdField, Field); 3] = [
        (ThresholdField::TransitionEntropy, |config| {
            &mut config.transition_entropy_threshold
        }),
        (ThresholdField::Rpdi, |config| &mut config.rpdi_threshold),
        (ThresholdField::EatEmaVariance, |config| {
            &mut config.eat_ema_variance_threshold
        }),
    ];
    for (name, field) in fields {
        for good in [0.0, -0.0, 7.5, f32::MAX] {
            assert_eq!(with(|config| *field(config) = good), Ok(()));
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.001] {
            let error = with(|config| *field(config) = bad).unwrap_err();
            let ConfigError::Threshold { field, value } = error else {
                panic!("{error:?}");
            };
            assert_eq!((field, value.to_bits()), (name, bad.to_bits()));
        }
    }
}

#[test]
fn the_floor_is_not_above_the_cap() {
    let limits =
        |min, max| with(|config| (config.min_think_tokens, config.max_think_tokens) = (min, max));
    assert_eq!(limits(0, 0), Ok(()));
    assert_eq!(limits(7, 7), Ok(()));
    assert_eq!(
        limits(8, 7),
        Err(ConfigError::MinAboveMax { min: 8, max: 7 })
    );
}

#[test]
fn what_starts_can_end() {
    assert_eq!(with(|config| config.think_start_markers.clear()), Ok(()));
    let error = with(|config| {
        config.think_end_markers.clear();
        config.think_start_markers.push(vec![8]);
    });
    assert_eq!(error, Err(ConfigError::NoEndMarker { start_markers: 2 }));
}

#[test]
fn no_marker_is_empty() {
    for (kind, index) in [
        (MarkerKind::ThinkStart, 1),
        (MarkerKind::ThinkEnd, 0),
        (MarkerKind::Eos, 2),
    ] {
        let error = with(|config| {
            config.eos_markers.push(vec![4]);
            let markers = match kind {
                MarkerKind::ThinkStart => &mut config.think_start_markers,
                MarkerKind::ThinkEnd => &mut config.think_end_markers,
                MarkerKind::Eos => &mut config.eos_markers,
            };
            markers.insert(index, vec![]);
        });
        assert_eq!(error, Err(ConfigError::EmptyMarker { kind, index }));
    }
}

#[test]
fn markers_have_4_095_tokens_at_most() {
    let long: Vec<u32> = (10..10 + 4_095 - 3).collect();
    let add = |marker: Vec<u32>| with(|config| config.eos_markers.push(marker));
    assert_eq!(add(long.clone()), Ok(()));
    let longer = [long, vec![0]].concat();
    assert_eq!(
        add(longer),
        Err(ConfigError::TooManyMarkerTokens { total: 4_096 })
    );
}

#[test]
fn no_marker_is_a_prefix_of_another_of_any_kind() {
    use MarkerKind::{Eos, ThinkEnd, ThinkStart};

    type Markers = Vec<Vec<u32>>;
    type Place = (MarkerKind, usize);
    let rows: [(Markers, Markers, Markers, Place, Place); 6] = [
        (
            vec![vec![1], vec![1, 2]],
            vec![vec![9]],
            vec![],
            (ThinkStart, 0),
            (ThinkStart, 1),
        ),
        (
            vec![],
            vec![vec![9]],
            vec![vec![3, 4], vec![3]],
            (Eos, 1),
            (Eos, 0),
        ),
        (
            vec![],
            vec![vec![9]],
            vec![vec![3], vec![7], vec![3]],
            (Eos, 0),
            (Eos, 2),
        ),
        (
            vec![vec![1, 2]],
            vec![vec![1]],
            vec![],
            (ThinkEnd, 0),
            (ThinkStart, 0),
        ),
        (
            vec![vec![1]],
            vec![vec![9]],
            vec![vec![1, 2, 3]],
            (ThinkStart, 0),
            (Eos, 0),
        ),
        // Others sort between their beginnings and the two in question.
        (
            vec![vec![5]],
            vec![vec![1, 2]],
            vec![vec![1, 2, 9], vec![1, 1]],
            (ThinkEnd, 0),
            (Eos, 0),
        ),
    ];
    for (starts, ends, eos, shorter, longer) in rows {
        let error = with(|config| {
            config.think_start_markers = starts;
            config.think_end_markers = ends;
            config.eos_markers = eos;
        });
        let error = error.unwrap_err();
        let ConfigError::PrefixOfAnother {
            kind,
            index,
            other_kind,
            other_index,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            ((kind, index), (other_kind, other_index)),
            (shorter, longer)
        );
    }
    // Beginning alike, ending alike, or lying within another is nothing of the kind.
    let good = with(|config| {
        config.think_start_markers = vec![vec![1, 2, 3], vec![1, 2, 4]];
        config.think_end_markers = vec![vec![2], vec![5, 4]];
        config.eos_markers = vec![vec![3]];
    });
    assert_eq!(good, Ok(()));
}

#[test]
fn errors_name_the_field_the_value_the_rule_and_the_way_out() {
    let texts = [
        with(|config| config.ema_alpha = 1.5),
        with(|config| config.rpdi_threshold = f32::NAN),
        with(|config| config.min_think_tokens = 40_000),
        with(|config| config.eos_markers.push(vec![])),
        with(|config| config.think_end_markers.clear()),
        with(|config| config.eos_markers.push((0..4_095).collect())),
        with(|config| config.eos_markers = vec![vec![1; 20], vec![1; 21], vec![7]]),
    ]
    .map(|result| result.unwrap_err().to_string());
    let expected = [
        "`ema_alpha` is 1.5; it must be above 0 and at most 1, where 1 keeps nothing of earlier samples (the default is 0.05)",
        "`rpdi_threshold` is NaN; it must be finite and not negative; to force nothing for overthinking, use `f32::MAX`",
        "`min_think_tokens` is 40000 and `max_think_tokens` 32768; the floor must not be above the cap: lower the one or raise the other",
        "`eos_markers[1]` is empty; a marker has at least one token: leave it out",
        "`think_start_markers` has 1 and `think_end_markers` none; what can start must be able to end: add an end marker, or leave out the start markers",
        "the markers have 4098 tokens in all; they may have 4095: use fewer, or shorter ones",
        "`think_start_markers[0]`, [1], is a prefix of `eos_markers[0]` or equal to it; a sequence of tokens must mean one thing: leave out one of the two",
    ];
    assert_eq!(texts, expected);

    let error = with(|config| {
        config.think_start_markers.clear();
        config.eos_markers = vec![vec![1; 21], vec![1; 20]];
    });
    let ConfigError::PrefixOfAnother { marker, .. } = error.unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(*marker, [1; 16], "an excerpt");
}
