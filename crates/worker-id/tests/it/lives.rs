//! Which news is believed, by example.

use std::collections::BTreeMap;

use worker_id::{
    Ignored, Incarnation, Known, Lives, News, Ranks, Ruling, Says, Standing, WorkerRanks,
    WorkerWithDpRank,
};

/// A tracker that keeps nothing but who is there.
#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) lives: Lives,
    pub(crate) there: BTreeMap<WorkerWithDpRank, Known>,
}

impl Fleet {
    pub(crate) fn hear(&mut self, news: News) -> Ruling {
        let mut there = self.there.remove(&news.worker);
        let ruling = self.lives.hear(&mut there, &news);
        if let Some(known) = there {
            self.there.insert(known.worker, known);
        }
        ruling
    }

    pub(crate) fn list(
        &mut self,
        as_of: Option<u64>,
        listed: &[WorkerWithDpRank],
    ) -> Result<(), Ignored> {
        self.lives.begin_list(as_of)?;
        let there: Vec<_> = self.there.keys().copied().collect();
        for gone in there.iter().filter(|worker| !listed.contains(worker)) {
            let gone = WorkerWithDpRank::new(gone.worker_id, gone.dp_rank);
            let _ = self.hear(News::new(gone, Unlisted).as_of(as_of));
        }
        for worker in listed {
            let _ = self.hear(News::new(*worker, Listed).as_of(as_of));
        }
        Ok(())
    }

    pub(crate) fn texts(&self) -> Vec<String> {
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

pub(crate) const fn no(why: Ignored) -> Ruling {
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
    const ROOM: u32 = 64;
    let room = ROOM as usize;
    let mut lives = Lives::with_room(room);
    let worker = |id: u32| WorkerWithDpRank::new(id.into(), 0).with_incarnation(1);
    let hear = |lives: &mut Lives, id, says| lives.hear(&mut None, &News::new(worker(id), says));
    for id in 0..10 * ROOM {
        let _ = hear(&mut lives, id, Gone);
        // Said again and again, it takes no more room.
        let _ = hear(&mut lives, id, Gone);
        assert!(lives.len() <= room);
    }
    assert_eq!(lives.len(), room);
    for id in 9 * ROOM..10 * ROOM {
        assert_eq!(hear(&mut lives, id, Here), no(Departed), "{id}");
    }
    assert_eq!(hear(&mut lives, 9 * ROOM - 1, Here), Apply);
    // What is said again is remembered from then on.
    let _ = hear(&mut lives, 9 * ROOM, Gone);
    let _ = hear(&mut lives, 0, Gone);
    assert_eq!(hear(&mut lives, 9 * ROOM, Here), no(Departed));
    assert_eq!(hear(&mut lives, 9 * ROOM + 1, Here), Apply);
    let mut none = Lives::with_room(0);
    assert_eq!(hear(&mut none, 1, Gone), no(Absent));
    assert_eq!(hear(&mut none, 1, Here), Apply);
    assert!(none.is_empty());
}
