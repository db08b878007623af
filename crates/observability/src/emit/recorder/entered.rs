//! The spans that this thread is in, each with the position that it was in before.

use onefold_core::trace::Position;
use std::cell::RefCell;

thread_local! {
    static ENTERED: RefCell<Vec<(u64, Position)>> = const { RefCell::new(Vec::new()) };
}

/// Enters a span: its position becomes the thread's.
pub(super) fn enter(position: Position) {
    let outer = position.replace();
    ENTERED.with_borrow_mut(|entered| entered.push((position.span, outer)));
}

/// Leaves a span. `tracing` allows to leave them in any order: then the inner ones hand on what was before.
pub(super) fn exit(span: u64) {
    ENTERED.with_borrow_mut(|entered| {
        let Some(at) = entered.iter().rposition(|(known, _)| *known == span) else { return };
        let (_, outer) = entered.remove(at);
        match entered.get_mut(at) {
            Some((_, before)) => *before = outer,
            None => outer.set(),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_left_in_another_order_than_entered_leave_nothing_behind() {
        let at = |span| Position { context: None, span };
        enter(at(1));
        enter(at(2));
        exit(1);
        assert_eq!(Position::current().span, 2);
        exit(2);
        assert_eq!(Position::current().span, 0);
        exit(3);
        assert_eq!(Position::current().span, 0);
    }
}
