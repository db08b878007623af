//! Where in which trace this thread works at the moment.
//!
//! Two set it, and each puts back what it found: the scopes of node boundaries, and a recorder of spans when a span
//! is entered and left. So the innermost of both is what [`TraceContext::current`] answers, and a call that leaves
//! the node names the span that makes it. Without a recorder it names the boundary's own context.

use super::TraceContext;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static POSITION: Cell<Position> = const { Cell::new(Position::NOWHERE) };
}

/// A place in a trace, and the open span there, if a recorder has one.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The context of whatever is done here.
    pub context: Option<TraceContext>,
    /// The recorder's own name of the open span; zero where a boundary set the context and no span is open yet.
    pub span: u64,
}

impl Position {
    /// In no trace.
    pub const NOWHERE: Self = Self { context: None, span: 0 };

    /// This thread's.
    pub fn current() -> Self {
        POSITION.get()
    }

    /// Makes it this thread's.
    pub fn set(self) {
        POSITION.set(self);
    }

    /// Makes it this thread's, and answers what was before: to be put back.
    #[must_use]
    pub fn replace(self) -> Self {
        POSITION.replace(self)
    }

    /// A span that opens where this thread works: its context, and its parent's id, zero for a root. A context that
    /// was made for a span takes it once; what opens beside it later is its child.
    pub fn open_span() -> (TraceContext, u64) {
        let mut position = Self::current();
        let Some(context) = position.context else { return TraceContext::begin().opened() };
        if !context.is_reserved {
            return context.child().opened();
        }
        let opened = context.opened();
        position.context = Some(opened.0);
        position.set();
        opened
    }
}

/// Puts a position back when it goes, also in a panic.
struct Entered<'a> {
    inner: &'a mut Position,
    outer: Position,
}

impl<'a> Entered<'a> {
    fn new(inner: &'a mut Position) -> Self {
        Self { outer: inner.replace(), inner }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // What was marked within stays marked at the next poll.
        *self.inner = self.outer.replace();
    }
}

/// Whether the span of this context is open and entered already: then a scope has nothing to add to it.
fn is_open(context: TraceContext) -> bool {
    let position = Position::current();
    position.span != 0 && position.context == Some(context)
}

pub(super) fn enter<R>(context: TraceContext, work: impl FnOnce() -> R) -> R {
    if is_open(context) {
        return work();
    }
    let mut position = Position { context: Some(context), span: 0 };
    let _entered = Entered::new(&mut position);
    work()
}

pin_project! {
    /// Work in a context, wherever it is polled or dropped.
    #[derive(Debug)]
    pub struct Scoped<F> {
        #[pin]
        work: Option<F>,
        position: Position,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = Entered::new(this.position);
            this.work.set(None);
        }
    }
}

impl<F> Scoped<F> {
    pub(super) fn new(context: TraceContext, work: F) -> Self {
        Self { work: Some(work), position: Position { context: Some(context), span: 0 } }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // It is taken only by the drop.
        let Some(work) = this.work.as_pin_mut() else { return Poll::Pending };
        if this.position.context.is_some_and(is_open) {
            return work.poll(cx);
        }
        let _entered = Entered::new(this.position);
        work.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_made_for_a_span_takes_one_and_parents_the_others() {
        let remote = TraceContext::root(true);
        let context = remote.child();
        context.enter(|| {
            assert_eq!(Position::open_span(), (context, remote.span()));
            let (second, parent) = Position::open_span();
            assert_eq!(parent, context.span());
            assert_ne!(second, context);
        });
        let received: TraceContext = remote.to_string().parse().unwrap();
        let (span, parent) = received.enter(Position::open_span);
        assert_eq!((span.trace(), parent), (remote.trace(), remote.span()));
        assert_eq!(Position::open_span().1, 0, "outside of any trace a new one begins");
    }

    #[test]
    fn a_scope_marks_its_context_as_taken_over_all_polls_and_puts_back_what_was() {
        let context = TraceContext::root(true);
        let mut work =
            std::pin::pin!(context.scope(async {
                let first = Position::open_span().0;
                let mut pending = true;
                std::future::poll_fn(|_| {
                    if std::mem::take(&mut pending) { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
                (first, Position::open_span().1)
            }));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut cx).is_pending());
        assert_eq!(TraceContext::current(), None);
        let Poll::Ready((first, parent_of_second)) = work.as_mut().poll(&mut cx) else { panic!("pending") };
        assert_eq!(first, context);
        assert_eq!(parent_of_second, context.span());
        assert_eq!(TraceContext::current(), None);
    }

    #[test]
    fn a_panic_within_leaves_no_context_behind() {
        let context = TraceContext::root(true);
        let caught = std::panic::catch_unwind(|| context.enter(|| panic!("on purpose")));
        assert!(caught.is_err());
        assert_eq!(TraceContext::current(), None);
    }

    #[test]
    fn work_dropped_in_the_middle_is_dropped_in_its_context() {
        struct Witness<'a>(&'a Cell<Option<TraceContext>>);
        impl Drop for Witness<'_> {
            fn drop(&mut self) {
                self.0.set(TraceContext::current());
            }
        }
        let seen = Cell::new(None);
        let context = TraceContext::root(false);
        let witness = Witness(&seen);
        drop(context.scope(async move {
            let _witness = witness;
            std::future::pending::<()>().await;
        }));
        assert_eq!(seen.get(), Some(context));
    }

    #[test]
    fn a_scope_within_its_own_open_span_adds_nothing() {
        let context = TraceContext::root(true);
        let opened = Position { context: Some(context), span: 7 };
        let before = opened.replace();
        let span = context.enter(|| Position::current().span);
        before.set();
        assert_eq!(span, 7);
    }
}
