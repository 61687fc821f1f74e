//! Which connection gives way where a worker has room for no more: the idle one that has been quiet longest.
//!
//! A sender has its head there soon after it connects, and is served until it has its answer. Who holds connections for their
//! own sake is idle, and goes first, however many of those there are.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::turn::Turn;

/// The connections of one worker.
#[derive(Debug, Clone)]
pub struct Crowd(Rc<Members>);

#[derive(Debug)]
struct Members {
    members_max: usize,
    entered_total: Cell<u64>,
    turns: RefCell<BTreeMap<u64, Turn>>,
}

impl Crowd {
    /// Room for `members_max` connections. For one more an idle one gives way, if there is any.
    pub fn new(members_max: usize) -> Self {
        Self(Rc::new(Members { members_max, entered_total: Cell::default(), turns: RefCell::default() }))
    }

    /// One more connection, until it is dropped.
    pub fn enter(&self, turn: &Turn) -> Member {
        let number = self.0.entered_total.get();
        self.0.entered_total.set(number + 1);
        let mut turns = self.0.turns.borrow_mut();
        if turns.len() >= self.0.members_max
            && let Some(quiet) = quiet_longest(&turns).and_then(|number| turns.remove(&number))
        {
            quiet.give_way();
        }
        turns.insert(number, turn.clone());
        Member { number, of: self.clone() }
    }
}

fn quiet_longest(turns: &BTreeMap<u64, Turn>) -> Option<u64> {
    let idle = turns.iter().filter(|(_, turn)| !turn.is_serving());
    idle.min_by_key(|(_, turn)| turn.quiet_since()).map(|(number, _)| *number)
}

/// One connection of a [`Crowd`].
#[derive(Debug)]
pub struct Member {
    number: u64,
    of: Crowd,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.of.0.turns.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(turns: &[Turn]) -> Vec<bool> {
        turns.iter().map(Turn::is_over).collect()
    }

    #[test]
    fn the_connection_that_is_quiet_longest_gives_way_and_none_twice() {
        let crowd = Crowd::new(2);
        let turns: Vec<Turn> = (0..4).map(|_| Turn::new()).collect();
        let mut members: Vec<Member> = turns.iter().take(2).map(|turn| crowd.enter(turn)).collect();
        assert_eq!(over(&turns), [false; 4]);
        turns[0].wrote();
        members.push(crowd.enter(&turns[2]));
        assert_eq!(over(&turns), [false, true, false, false]);
        members.push(crowd.enter(&turns[3]));
        assert_eq!(over(&turns).into_iter().filter(|over| *over).count(), 2);
        assert!(!turns[3].is_over(), "the newest stays");
    }

    #[test]
    fn one_that_has_gone_leaves_its_place() {
        let crowd = Crowd::new(1);
        let (first, second) = (Turn::new(), Turn::new());
        drop(crowd.enter(&first));
        let _second = crowd.enter(&second);
        assert!(!first.is_over() && !second.is_over());
    }
}
