//! Which news is believed: by example, and beside a model that remembers everything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use worker_id::{
    Ignored, Incarnation, Known, Lives, News, Ranks, Ruling, Says, Standing, WorkerRanks,
    WorkerWithDpRank,
};

/// A tracker that keeps nothing but who is there.
#[derive(Default)]
struct Fleet {
    lives: Lives,
    there: BTreeMap<WorkerWithDpRank, Known>,
}

impl Fleet {
    fn hear(&mut self, news: News) -> Ruling {
        let mut there = self.there.remove(&news.worker);
        let ruling = self.lives.hear(&mut there, &news);
        if let Some(known) = there {
            self.there.insert(known.worker, known);
        }
        ruling
    }

    fn list(&mut self, as_of: Option<u64>, listed: &[WorkerWithDpRank]) -> Result<(), Ignored> {
        self.lives.begin_list(as_of)?;
        let there: Vec<_> = self.there.keys().copied().collect();
        for gone in there.iter().filter(|worker| !listed.contains(worker)) {
            let gone = WorkerWithDpRank::new(gone.worker_id, gone.dp_rank);
            let _ = self.hear(News::new(gone, Says::Unlisted).as_of(as_of));
        }
        for worker in listed {
            let _ = self.hear(News::new(*worker, Says::Listed).as_of(as_of));
        }
        Ok(())
    }

    fn texts(&self) -> Vec<String> {
        self.there
            .values()
            .map(|known| known.worker.to_string())
            .collect()
    }
}

fn news(worker: &str, says: Says) -> News {
    News::new(worker.parse().unwrap(), says)
}

/// Each line: news, its revision, and what is ruled.
fn run(lines: &[(&str, Says, Option<u64>, Ruling)]) -> Fleet {
    let mut fleet = Fleet::default();
    for (at, (worker, says, as_of, ruling)) in lines.iter().enumerate() {
        let heard = fleet.hear(news(worker, *says).as_of(*as_of));
        assert_eq!(heard, *ruling, "line {at}: {worker} {says:?}");
    }
    fleet
}

use Ignored::{Absent, Departed, Late, Older, OtherLife};
use Ruling::{Apply, Replaces};
use Says::{Detail, Gone, Here, Listed, Unlisted};

const fn no(why: Ignored) -> Ruling {
    Ruling::Ignored(why)
}

#[test]
fn late_news_of_an_earlier_ordered_life_changes_nothing() {
    let fleet = run(&[
        ("7:0@r41", Here, None, Apply),
        ("7:0@r42", Here, None, Replaces),
        ("7:0@r41", Detail, None, no(Late)),
        ("7:0@r41", Gone, None, no(Late)),
        ("7:0@r41", Here, None, no(Late)),
        ("7:0@r41", Listed, None, no(Late)),
        ("7:0@r42", Gone, None, Apply),
        // Remembered after it has gone, too.
        ("7:0@r41", Here, None, no(Late)),
        ("7:0@r41", Listed, None, no(Late)),
        ("7:0@r42", Here, None, no(Departed)),
        ("7:0@r43", Here, None, Apply),
    ]);
    assert_eq!(fleet.texts(), ["7:0@r43"]);
}

#[test]
fn of_opaque_lives_the_displaced_one_is_remembered() {
    let fleet = run(&[
        ("7:0@41", Here, None, Apply),
        ("7:0@42", Here, None, Replaces),
        ("7:0@41", Detail, None, no(OtherLife)),
        ("7:0@41", Gone, None, no(OtherLife)),
        ("7:0@41", Here, None, no(Departed)),
        ("7:0", Detail, None, Apply),
    ]);
    assert_eq!(fleet.texts(), ["7:0@42"]);
}

#[test]
fn a_flap_heals_by_a_list_or_by_a_later_revision() {
    let fleet = run(&[
        ("7:0@41", Here, None, Apply),
        ("7:0@41", Gone, None, Apply),
        ("7:0@41", Here, None, no(Departed)),
        ("7:0@41", Listed, None, Apply),
        ("8:0@r41", Here, Some(5), Apply),
        ("8:0@r41", Gone, Some(6), Apply),
        ("8:0@r41", Here, Some(5), no(Older)),
        ("8:0@r41", Here, Some(7), Apply),
    ]);
    assert_eq!(fleet.texts(), ["7:0@41", "8:0@r41"]);
}

#[test]
fn a_departure_that_comes_before_its_arrival_counts() {
    let fleet = run(&[
        ("7:0@41", Gone, None, no(Absent)),
        ("7:0@41", Here, None, no(Departed)),
        ("8:0", Gone, Some(6), no(Absent)),
        ("8:0", Here, Some(5), no(Older)),
        ("9:0@r1", Here, None, Apply),
        // A later life has been and gone: so this one has gone, too.
        ("9:0@r2", Gone, None, Apply),
        ("9:0@r2", Here, None, no(Departed)),
    ]);
    assert!(fleet.texts().is_empty());
}

#[test]
fn an_unknown_life_is_spoken_of_by_who_does_not_say_one() {
    let fleet = run(&[
        ("7:0", Here, None, Apply),
        ("7:0", Detail, None, Apply),
        ("7:0@41", Detail, None, no(OtherLife)),
        ("7:0@41", Gone, None, no(OtherLife)),
        ("7:0@42", Here, None, Replaces),
        ("7:0", Gone, None, Apply),
        ("7:0", Here, None, Apply),
    ]);
    assert_eq!(fleet.texts(), ["7:0"]);
}

#[test]
fn a_list_taken_before_a_departure_does_not_bring_the_dead_back() {
    let worker = |text: &str| text.parse().unwrap();
    let mut fleet = run(&[
        ("7:0@41", Here, Some(3), Apply),
        ("7:0@41", Gone, Some(9), Apply),
        ("8:0", Here, Some(9), Apply),
    ]);
    // The list lacks 8, which came after it, and has 7, which left after it.
    fleet
        .list(Some(8), &[worker("7:0@41"), worker("9:0")])
        .unwrap();
    assert_eq!(fleet.texts(), ["8:0", "9:0"]);
    // What was said before the list is in the list.
    assert_eq!(fleet.hear(news("6:0", Here).as_of(8)), no(Older));
    assert_eq!(fleet.hear(news("9:0", Gone).as_of(7)), no(Older));
    assert_eq!(fleet.list(Some(7), &[]), Err(Older));
    assert_eq!(fleet.texts(), ["8:0", "9:0"]);
    fleet.list(Some(10), &[worker("7:0@41")]).unwrap();
    assert_eq!(fleet.texts(), ["7:0@41"]);
}

#[test]
fn without_revisions_the_order_of_calls_counts() {
    let mut fleet = run(&[("7:0", Here, None, Apply), ("8:0@1", Here, None, Apply)]);
    fleet.list(None, &["9:0".parse().unwrap()]).unwrap();
    assert_eq!(fleet.texts(), ["9:0"]);
    // Its life departed with the list.
    assert_eq!(fleet.hear(news("8:0@1", Here)), no(Departed));
    assert_eq!(fleet.hear(news("7:0", Here)), Apply);
}

#[test]
fn all_ranks_leave_those_included_that_nobody_has_heard_of() {
    let mut fleet = run(&[("7:0@41", Here, None, Apply)]);
    let all = WorkerRanks::all(7).with_incarnation(41);
    assert_eq!(fleet.hear(News::new(all.rank(0), Gone)), Apply);
    fleet.lives.all_gone(&all, None);
    assert_eq!(fleet.hear(news("7:1@41", Here)), no(Departed));
    assert_eq!(fleet.hear(news("7:1@42", Here)), Apply);
    fleet.lives.all_gone(&WorkerRanks::all(8), Some(4));
    assert_eq!(fleet.hear(news("8:3", Here).as_of(4)), no(Older));
    assert_eq!(fleet.hear(news("8:3", Here).as_of(5)), Apply);
}

#[test]
fn the_memory_is_bounded_and_the_oldest_give_way() {
    const ROOM: u64 = 64;
    let mut lives = Lives::with_room(ROOM as usize);
    let worker = |id| WorkerWithDpRank::new(id, 0).with_incarnation(1);
    let hear = |lives: &mut Lives, id, says| lives.hear(&mut None, &News::new(worker(id), says));
    for id in 0..10 * ROOM {
        let _ = hear(&mut lives, id, Gone);
        // Said again and again, it takes no more room.
        let _ = hear(&mut lives, id, Gone);
        assert!(lives.len() <= ROOM as usize);
    }
    assert_eq!(lives.len(), ROOM as usize);
    for id in 9 * ROOM..10 * ROOM {
        assert_eq!(hear(&mut lives, id, Here), no(Departed), "{id}");
    }
    assert_eq!(hear(&mut lives, 9 * ROOM - 1, Here), Apply);
    let mut none = Lives::with_room(0);
    assert_eq!(hear(&mut none, 1, Gone), no(Absent));
    assert_eq!(hear(&mut none, 1, Here), Apply);
    assert!(none.is_empty());
}

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
            (Some(Standing::Same), _) => Apply,
            (Some(Standing::Late), _) => no(Late),
            (Some(Standing::Newer), Gone) => Apply,
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
            .prop_map(|said| said.into_iter().map(|(life, gone)| (life, if gone { Gone } else { Here })).collect::<Vec<_>>()),
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
