//! The serving loop loses, doubles and leaks nothing: on every backend, whether workers die or not.
#![forbid(unsafe_code)]

use std::time::Duration;

use benches::any_map::Backend;
use benches::serving_loop::{Backends, Options, Report, run};

fn options(backend: Backend) -> Options {
    Options {
        time: Duration::from_secs(60),
        requests: Some(120),
        in_flight: 16,
        workers: 3,
        kill_every: None,
        backends: Backends::all(backend),
    }
}

fn clean(options: &Options) -> Report {
    let report = run(options).expect("threads and sockets");
    assert!(report.is_clean(), "{report:?}");
    report
}

#[test]
fn every_request_ends_with_its_last_token() {
    for backend in Backend::ALL {
        let report = clean(&options(backend));
        assert_eq!(
            (report.complete, report.cut, report.refused),
            (120, 0, 0),
            "{report:?}"
        );
    }
}

#[test]
fn workers_die_and_nothing_but_their_requests_is_cut() {
    for backend in Backend::ALL {
        let report = clean(&Options {
            time: Duration::from_secs(2),
            requests: None,
            kill_every: Some(Duration::from_millis(150)),
            ..options(backend)
        });
        let happened = [report.complete, report.cut, report.killed];
        assert!(happened.iter().all(|count| *count > 0), "{report:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let usual = options(Backend::DashMap);
    for wrong in [
        Options {
            workers: 1,
            ..usual
        },
        Options {
            in_flight: 0,
            ..usual
        },
    ] {
        assert!(run(&wrong).is_err(), "{wrong:?}");
    }
}
