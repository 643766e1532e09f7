//! Configs: the defaults, and every rule with its error.

use phase_state::{
    ConfigError, Converged, Format, MarkerKind, Overthinking, PhaseRouterConfig, Spans,
    ThresholdField,
};
use static_assertions::assert_impl_all;

assert_impl_all!(PhaseRouterConfig: Clone, Default, Send, Sync);
assert_impl_all!(Format: Clone, Default, Send, Sync);
assert_impl_all!(ConfigError: std::error::Error, Send, Sync);

fn with(change: impl FnOnce(&mut PhaseRouterConfig)) -> Result<(), ConfigError> {
    let mut config = PhaseRouterConfig::with_marker_ids([1], [2], [3]);
    config.converged = Some(Converged::default());
    config.overthinking = Some(Overthinking::default());
    change(&mut config);
    config.validate()
}

fn with_markers(change: impl FnOnce(&mut Format)) -> Result<(), ConfigError> {
    with(|config| change(&mut config.formats[0]))
}

#[test]
fn the_defaults_are_those_of_the_documentation_and_valid() {
    let config = PhaseRouterConfig::default();
    let expected = PhaseRouterConfig {
        ema_alpha: 0.05,
        transition_entropy_threshold: 2.5,
        converged: None,
        overthinking: None,
        min_think_tokens: 512,
        max_think_tokens: 32_768,
        formats: vec![],
    };
    assert_eq!(config, expected);
    assert_eq!(config.validate(), Ok(()));
    let converged = Converged {
        max_variance: 0.001,
        min_mass: 0.5,
    };
    assert_eq!(Converged::default(), converged);
    let overthinking = Overthinking {
        min_index: 3.0,
        min_transitions: 5,
    };
    assert_eq!(Overthinking::default(), overthinking);
    assert_eq!(Format::<Vec<u32>>::default().spans, Spans::First);
}

#[test]
fn marker_ids_are_markers_of_one_token() {
    let config = PhaseRouterConfig::with_marker_ids([1], vec![2, 3], 4..7);
    let expected = PhaseRouterConfig {
        formats: vec![Format {
            think_start: vec![vec![1]],
            think_end: vec![vec![2], vec![3]],
            eos: vec![vec![4], vec![5], vec![6]],
            ..Format::default()
        }],
        ..PhaseRouterConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn alpha_is_above_0_and_at_most_1() {
    for good in [f32::MIN_POSITIVE, 0.05, 1.0] {
        let set = |config: &mut PhaseRouterConfig| {
            config.ema_alpha = good;
            config.overthinking = None;
        };
        assert_eq!(with(set), Ok(()));
    }
    for bad in [0.0, -0.0, -0.1, 1.000_001, f32::NAN, f32::INFINITY] {
        let error = with(|config| config.ema_alpha = bad).unwrap_err();
        let ConfigError::Alpha { value } = error else {
            panic!("{error:?}");
        };
        assert_eq!(value.to_bits(), bad.to_bits());
    }
}

type Field = fn(&mut PhaseRouterConfig) -> &mut f32;

#[test]
fn thresholds_are_what_can_be_compared_with() {
    let fields: [(ThresholdField, Field, &[f32], &[f32]); 4] = [
        (
            ThresholdField::TransitionEntropy,
            |config| &mut config.transition_entropy_threshold,
            &[0.0, -0.0, 7.5, f32::MAX],
            &[-0.001],
        ),
        (
            ThresholdField::MinIndex,
            |config| &mut config.overthinking.as_mut().unwrap().min_index,
            &[0.0, -0.0, 7.5, f32::MAX],
            &[-0.001],
        ),
        (
            ThresholdField::MaxVariance,
            |config| &mut config.converged.as_mut().unwrap().max_variance,
            &[f32::MIN_POSITIVE, 7.5, f32::MAX],
            &[0.0, -0.001],
        ),
        (
            ThresholdField::MinMass,
            |config| &mut config.converged.as_mut().unwrap().min_mass,
            &[0.0, 0.5, 1.0],
            &[-0.001, 1.001],
        ),
    ];
    let never = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for (name, field, good, bad) in fields {
        for good in good {
            assert_eq!(with(|config| *field(config) = *good), Ok(()));
        }
        for bad in bad.iter().chain(&never) {
            let error = with(|config| *field(config) = *bad).unwrap_err();
            let ConfigError::Threshold { field, value } = error else {
                panic!("{error:?}");
            };
            assert_eq!((field, value.to_bits()), (name, bad.to_bits()));
        }
    }
}

/// A rule that is accepted can fire.
#[test]
fn transitions_are_as_many_as_can_be_told() {
    let asks = |min_transitions, ema_alpha| {
        with(|config| {
            config.ema_alpha = ema_alpha;
            config.overthinking = Some(Overthinking {
                min_transitions,
                ..Overthinking::default()
            });
        })
    };
    for (most, alpha) in [(1, 1.0), (10, 0.5), (135, 0.05)] {
        assert_eq!(asks(most, alpha), Ok(()));
        let refused = ConfigError::Transitions {
            min_transitions: most + 1,
            ema_alpha: alpha,
        };
        assert_eq!(asks(most + 1, alpha), Err(refused));
    }
    assert!(asks(0, 0.05).is_err() && asks(u32::MAX, 0.05).is_err());
}

#[test]
fn names_of_formats_differ() {
    let named = |names: [&str; 2]| {
        with(|config| {
            config.formats = names.map(|name| Format::default().named(name)).to_vec();
        })
    };
    assert_eq!(named(["a", "b"]), Ok(()));
    assert_eq!(named(["", ""]), Ok(()));
    let name = "a".to_owned();
    assert_eq!(
        named(["a", "a"]),
        Err(ConfigError::FormatNamedTwice { name })
    );
    let many = with(|config| config.formats = vec![Format::default(); 1_025]);
    assert_eq!(many, Err(ConfigError::TooManyFormats { formats: 1_025 }));
}

#[test]
fn what_is_skipped_is_single_tokens() {
    assert_eq!(
        with_markers(|format| format.skipped = vec![vec![9], vec![1]]),
        Ok(())
    );
    for tokens in [0, 2] {
        let error = with_markers(|format| format.skipped = vec![vec![9], vec![9; tokens]]);
        assert_eq!(
            error,
            Err(ConfigError::SkippedNotOneToken { index: 1, tokens })
        );
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
    assert_eq!(with_markers(|format| format.think_start.clear()), Ok(()));
    let error = with_markers(|format| {
        format.think_end.clear();
        format.think_start.push(vec![8]);
    });
    let expected = ConfigError::NoEndMarker {
        starts: MarkerKind::ThinkStart,
        start_markers: 2,
    };
    assert_eq!(error, Err(expected));
    let error = with_markers(|format| format.tool_start.push(vec![8]));
    let expected = ConfigError::NoEndMarker {
        starts: MarkerKind::ToolStart,
        start_markers: 1,
    };
    assert_eq!(error, Err(expected));
}

#[test]
fn no_marker_is_empty() {
    for (kind, index) in [
        (MarkerKind::ThinkStart, 1),
        (MarkerKind::ThinkEnd, 0),
        (MarkerKind::ToolStart, 0),
        (MarkerKind::ToolEnd, 0),
        (MarkerKind::Eos, 2),
    ] {
        let error = with_markers(|format| {
            format.eos.push(vec![4]);
            let markers = match kind {
                MarkerKind::ThinkStart => &mut format.think_start,
                MarkerKind::ThinkEnd => &mut format.think_end,
                MarkerKind::ToolStart => &mut format.tool_start,
                MarkerKind::ToolEnd => &mut format.tool_end,
                _ => &mut format.eos,
            };
            markers.insert(index, vec![]);
        });
        assert_eq!(error, Err(ConfigError::EmptyMarker { kind, index }));
    }
}

#[test]
fn markers_have_4_095_tokens_at_most() {
    let long: Vec<u32> = (10..10 + 4_095 - 3).collect();
    let add = |marker: Vec<u32>| with_markers(|format| format.eos.push(marker));
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
        let error = with_markers(|format| {
            format.think_start = starts;
            format.think_end = ends;
            format.eos = eos;
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
    let good = with_markers(|format| {
        format.think_start = vec![vec![1, 2, 3], vec![1, 2, 4]];
        format.think_end = vec![vec![2], vec![5, 4]];
        format.eos = vec![vec![3]];
    });
    assert_eq!(good, Ok(()));
}

#[test]
fn errors_name_the_field_the_value_the_rule_and_the_way_out() {
    let texts = [
        with(|config| config.ema_alpha = 1.5),
        with(|config| config.transition_entropy_threshold = f32::NAN),
        with(|config| config.min_think_tokens = 40_000),
        with_markers(|format| format.eos.push(vec![])),
        with_markers(|format| format.think_end.clear()),
        with_markers(|format| format.eos.push((0..4_095).collect())),
        with_markers(|format| format.eos = vec![vec![1; 20], vec![1; 21], vec![7]]),
    ]
    .map(|result| result.unwrap_err().to_string());
    let expected = [
        "`ema_alpha` is 1.5; it must be above 0 and at most 1, where 1 keeps nothing of earlier samples (the default is 0.05)",
        "`transition_entropy_threshold` is NaN; it must be finite and not negative; to count no token as a transition, use `f32::MAX`",
        "`min_think_tokens` is 40000 and `max_think_tokens` 32768; the floor must not be above the cap: lower the one or raise the other",
        "`eos[1]` is empty; a marker has at least one token: leave it out",
        "`think_start` has 1 markers and there is none to end it; what can start must be able to end: add an end marker, or leave out the start markers",
        "the markers have 4098 tokens in all; they may have 4095: use fewer, or shorter ones",
        "`think_start[0]`, [1], is a prefix of `eos[0]` or equal to it; a sequence of tokens must mean one thing: leave out one of the two",
    ];
    assert_eq!(texts, expected);

    let error = with_markers(|format| {
        format.think_start.clear();
        format.eos = vec![vec![1; 21], vec![1; 20]];
    });
    let ConfigError::PrefixOfAnother { marker, .. } = error.unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(*marker, [1; 16], "an excerpt");
}
