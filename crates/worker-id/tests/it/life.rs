//! Lives, ranks and states: the small types beside a worker.

use std::collections::BTreeMap;

use static_assertions::{assert_impl_all, const_assert_eq};
use worker_id::{
    Incarnation, Lives, News, Ranks, Standing, WorkerRanks, WorkerState, WorkerWithDpRank,
};

assert_impl_all!(Incarnation: Copy, Send, Sync, Unpin);
assert_impl_all!(Lives: Clone, Send, Sync, Unpin);
assert_impl_all!(News: Copy, Send, Sync);
const_assert_eq!(size_of::<Option<Incarnation>>(), 16);

#[test]
fn every_combination_of_news_and_what_is_known() {
    use Incarnation::{Opaque, Ordered};
    use Standing::{Late, Newer, Other, Same};
    for (news, known, standing) in [
        (None, None, Same),
        (None, Some(Opaque(1)), Same),
        (None, Some(Ordered(1)), Same),
        (Some(Opaque(1)), None, Other),
        (Some(Opaque(1)), Some(Opaque(1)), Same),
        (Some(Opaque(2)), Some(Opaque(1)), Other),
        (Some(Opaque(1)), Some(Opaque(2)), Other),
        (Some(Opaque(1)), Some(Ordered(1)), Other),
        (Some(Ordered(1)), None, Other),
        (Some(Ordered(1)), Some(Opaque(1)), Other),
        (Some(Ordered(1)), Some(Ordered(1)), Same),
        (Some(Ordered(2)), Some(Ordered(1)), Newer),
        (Some(Ordered(1)), Some(Ordered(2)), Late),
    ] {
        assert_eq!(Standing::of(news, known), standing, "{news:?} {known:?}");
    }
}

#[test]
fn all_ranks_of_a_worker_are_its_range_and_nobody_elses() {
    let workers = [(6, u32::MAX), (7, 0), (7, 3), (7, u32::MAX), (8, 0)];
    let map: BTreeMap<WorkerWithDpRank, ()> = workers.map(|worker| (worker.into(), ())).into();
    let all = WorkerRanks::all(7).with_incarnation(1);
    let one = WorkerRanks::from(WorkerWithDpRank::new(7, 3));
    for ranks in [all, one] {
        let among = |(worker, ()): &(&WorkerWithDpRank, &())| ranks.contains(worker);
        let filtered: Vec<_> = map.iter().filter(among).collect();
        assert_eq!(map.range(ranks.range()).collect::<Vec<_>>(), filtered);
    }
    assert_eq!(map.range(all.range()).count(), 3);
    assert_eq!(map.range(one.range()).count(), 1);
    assert_eq!((one.ranks, one.incarnation), (Ranks::One(3), None));
    assert_eq!(all.rank(5).to_string(), "7:5@1");
    assert_eq!(all.with_ordered_incarnation(2).to_string(), "7:*@r2");
    assert_eq!(one.to_string(), "7:3");
}

#[test]
fn a_state_has_one_text() {
    for state in WorkerState::ALL {
        assert_eq!(state.to_string().parse(), Ok(state));
    }
    for text in ["", "Healthy", "ill ", "drained"] {
        let error = text.parse::<WorkerState>().unwrap_err();
        assert_eq!(&*error.text, text);
    }
    assert_eq!(WorkerState::default(), WorkerState::Healthy);
}
