//! Which news is believed, beside a model that remembers everything.

use std::collections::BTreeMap;

use crate::lives::{Fleet, no};
use proptest::prelude::*;
use worker_id::Ignored::{Absent, Departed, Late, Older, OtherLife};
use worker_id::Ruling::{Apply, Replaces};
use worker_id::Says::{Detail, Gone, Here, Listed, Unlisted};
use worker_id::{
    Incarnation, Known, Lives, News, Ranks, Ruling, Standing, WorkerRanks, WorkerWithDpRank,
};

/// Everything that was ever departed, in a list, and the rules in the words of the documentation.
#[derive(Default)]
struct Model {
    listed: Option<u64>,
    /// Rank (or all), life, revision; whether it tells of the rank as well as of the life.
    departures: Vec<(WorkerRanks, Option<u64>, bool)>,
}

impl Model {
    fn of(
        &self,
        worker: &WorkerWithDpRank,
    ) -> impl Iterator<Item = &(WorkerRanks, Option<u64>, bool)> {
        self.departures
            .iter()
            .filter(|(ranks, ..)| ranks.contains(worker))
    }

    fn rule(&self, there: Option<&Known>, news: &News) -> Ruling {
        let life = news.worker.incarnation();
        let list = matches!(news.says, Listed | Unlisted);
        let standing = there.map(|known| Standing::of(life, known.worker.incarnation()));
        if let Some(now) = news.as_of {
            let before = |then: u64| now < then || (now == then && !list);
            let in_order = there
                .and_then(|known| known.as_of)
                .is_some_and(|seen| seen <= now);
            let seen_later = there
                .and_then(|known| known.as_of)
                .is_some_and(|seen| seen > now);
            let hurts = matches!(news.says, Gone | Unlisted) || standing == Some(Standing::Other);
            let departed = self.of(&news.worker).filter(|(.., rank)| *rank);
            let departed_later = departed.filter_map(|(_, as_of, _)| *as_of).any(before);
            if self.listed.is_some_and(before)
                || (seen_later && hurts)
                || (departed_later && !in_order)
            {
                return no(Older);
            }
        }
        let departed = || {
            // Of a life and of ranks, a departure without a revision counts as after all others.
            let mut last: BTreeMap<bool, Option<u64>> = BTreeMap::new();
            for (ranks, then, _) in self.of(&news.worker) {
                if life.is_some() && ranks.incarnation == life {
                    let before = last.entry(ranks.ranks == Ranks::All).or_insert(*then);
                    *before = then.and((*before).max(*then));
                }
            }
            let later = |then: &Option<u64>| then.is_some() && news.as_of > *then;
            let back = news.says == Listed || last.values().all(later);
            (!back).then_some(Departed)
        };
        // Of several reasons, that a later life is known goes first.
        let departed = || {
            let late = self.of(&news.worker).any(|(ranks, ..)| {
                life.is_some() && Standing::of(life, ranks.incarnation) == Standing::Late
            });
            if late { Some(Late) } else { departed() }
        };
        match (standing, news.says) {
            (None, Here | Listed) => departed().map_or(Apply, no),
            (None, _) => no(Absent),
            (Some(Standing::Same), _) | (Some(Standing::Newer), Gone) => Apply,
            (Some(Standing::Late), _) => no(Late),
            (Some(_), Here | Listed) => departed().map_or(Replaces, no),
            (Some(_), _) => no(OtherLife),
        }
    }

    fn remember(&mut self, there: Option<&Known>, news: &News, ruling: Ruling) {
        let said = news.worker.into();
        let returns = matches!(news.says, Here | Listed) && matches!(ruling, Apply | Replaces);
        let leaves = matches!(news.says, Gone | Unlisted) || ruling == Replaces;
        match (ruling, there) {
            (Apply | Replaces, Some(known)) if leaves => {
                self.departures
                    .push((known.worker.into(), news.as_of, true));
                if ruling == Apply && news.worker.incarnation().is_some() {
                    self.departures.push((said, news.as_of, true));
                }
            }
            (Ruling::Ignored(Absent), _) if news.says == Gone => {
                self.departures.push((said, news.as_of, true));
            }
            (Ruling::Ignored(OtherLife), _) if news.says == Gone => {
                self.departures.push((said, news.as_of, false));
            }
            _ => {}
        }
        if returns && news.worker.incarnation().is_some() && (there.is_none() || ruling == Replaces)
        {
            // What departed is there again: of that life, and of this rank, only the rank's
            // departure is still known.
            for (ranks, ..) in &mut self.departures {
                let ordered = |life| matches!(life, Some(Incarnation::Ordered(_)));
                let same = ranks.incarnation == news.worker.incarnation()
                    || (ordered(ranks.incarnation) && ordered(news.worker.incarnation()));
                if ranks.ranks != Ranks::All && ranks.contains(&news.worker) && same {
                    ranks.incarnation = None;
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Hear(News),
    AllGone(WorkerRanks, Option<u64>),
    BeginList(Option<u64>),
}

fn any_op() -> impl Strategy<Value = Op> {
    let life = prop_oneof![
        Just(None),
        (0..3u64).prop_map(|number| Some(Incarnation::Opaque(number))),
        (0..4u64).prop_map(|number| Some(Incarnation::Ordered(number))),
    ];
    let says = prop_oneof![
        4 => Just(Here),
        2 => Just(Detail),
        3 => Just(Gone),
        2 => Just(Listed),
        1 => Just(Unlisted),
    ];
    let as_of = prop_oneof![2 => Just(None), 3 => (0..12u64).prop_map(Some)];
    (0..12, 0..2u32, life, says, as_of).prop_map(|(kind, rank, life, says, as_of)| {
        let worker = WorkerWithDpRank::new(7, rank);
        let named = life.map_or(worker, |life| worker.in_incarnation(life));
        match kind {
            0 => Op::AllGone(
                WorkerRanks {
                    ranks: Ranks::All,
                    ..named.into()
                },
                as_of,
            ),
            1 => Op::BeginList(as_of),
            // A list does not say a life of who is not in it.
            _ if says == Unlisted => Op::Hear(News::new(worker, says).as_of(as_of)),
            _ => Op::Hear(News::new(named, says).as_of(as_of)),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_rules_are_those_of_the_model(ops in prop::collection::vec(any_op(), 1..40)) {
        let mut fleet = Fleet::default();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Hear(news) => {
                    let there = fleet.there.get(&news.worker).copied();
                    let expected = model.rule(there.as_ref(), &news);
                    model.remember(there.as_ref(), &news, expected);
                    prop_assert_eq!(fleet.hear(news), expected, "{:?} at {:?}", news, there);
                }
                Op::AllGone(ranks, as_of) => {
                    fleet.lives.all_gone(&ranks, as_of);
                    model.departures.push((ranks, as_of, ranks.incarnation.is_none()));
                }
                Op::BeginList(as_of) => {
                    let begun = fleet.lives.begin_list(as_of).is_ok();
                    let older = as_of.is_some() && as_of < model.listed;
                    prop_assert_eq!(begun, !older);
                    model.listed = model.listed.max(as_of);
                }
            }
        }
    }

    /// Whatever was lost, doubled or came late: after a full list of the last revision, the fleet
    /// is the list; also where there was no memory to speak of.
    #[test]
    fn after_a_full_list_the_fleet_is_the_list(
        ops in prop::collection::vec(any_op(), 0..40),
        room in 0..6usize,
        listed in prop::collection::btree_set(0..3u32, 0..3),
        opaque: bool,
    ) {
        let mut fleet = Fleet { lives: Lives::with_room(room), ..Fleet::default() };
        for op in ops {
            match op {
                Op::Hear(news) => {
                    let _ = fleet.hear(news);
                }
                Op::AllGone(ranks, as_of) => fleet.lives.all_gone(&ranks, as_of),
                Op::BeginList(as_of) => {
                    let _ = fleet.lives.begin_list(as_of);
                }
            }
            prop_assert!(fleet.lives.len() <= room);
        }
        let listed: Vec<_> = listed.into_iter().map(|rank| {
            let worker = WorkerWithDpRank::new(7, rank);
            if opaque { worker.with_incarnation(9) } else { worker.with_ordered_incarnation(9) }
        }).collect();
        fleet.list(Some(12), &listed).unwrap();
        let expected: Vec<_> = listed.iter().map(ToString::to_string).collect();
        prop_assert_eq!(fleet.texts(), expected);
    }

    /// Of ordered lives the latest decides, in whatever order the news comes.
    #[test]
    fn ordered_news_comes_out_alike_in_any_order(
        mut said in prop::collection::vec((0..6u64, any::<bool>()), 1..12)
            .prop_map(|said| {
                let says = |gone| if gone { Gone } else { Here };
                said.into_iter().map(|(life, gone)| (life, says(gone))).collect::<Vec<_>>()
            }),
        swaps in prop::collection::vec((0..12usize, 0..12usize), 0..12),
    ) {
        let last = said.iter().map(|(life, _)| *life).max().unwrap();
        // A life that has gone does not come back without a list.
        let gone = said.contains(&(last, Gone));
        for (a, b) in swaps {
            let len = said.len();
            said.swap(a % len, b % len);
        }
        let mut fleet = Fleet::default();
        for (life, says) in said {
            let worker = WorkerWithDpRank::new(7, 0).with_ordered_incarnation(life);
            let _ = fleet.hear(News::new(worker, says));
        }
        let expected: Vec<_> = (!gone).then(|| format!("7:0@r{last}")).into_iter().collect();
        prop_assert_eq!(fleet.texts(), expected);
    }
}
