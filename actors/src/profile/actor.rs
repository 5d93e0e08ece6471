//! The actix side: a mailbox in front of the core.

use std::cell::RefCell;
use std::rc::Rc;

use actix::prelude::*;
use tokio::task::yield_now;

use super::Core;
use super::request::Request;
use crate::priority::Priority;
use crate::roster::Local;
use crate::turn::Turn;

/// One user's actor.
///
/// Its state stands in a cell that the shard holds too, since the outcomes of commits come to the shard. Nothing is
/// awaited while it is borrowed. No timer or stream is ever attached to the actor, and no future but the pause at the end
/// of a turn: a million of them must fit.
pub(crate) struct ProfileActor {
    core: Rc<RefCell<Core>>,
    local: Rc<Local>,
    turn: Turn,
}

impl ProfileActor {
    /// Starts the actor on this thread's arbiter. It ends when its last address is dropped.
    pub(crate) fn launch(core: Rc<RefCell<Core>>, local: Rc<Local>) -> Addr<Self> {
        let mut context = Context::new();
        // The roster's counters hold the bounds, each class's own. The mailbox must not be full before they say so.
        context.set_mailbox_capacity(local.shared.options.mailbox_limits().of(Priority::OwnWrite) + 1);
        context.run(Self { core, local, turn: Turn::default() })
    }

    /// Deals with one request, and says whether the actor is to pause: when its turn is over. One that is cut off does
    /// not pause: what is left in its mailbox goes on to the user's next actor, and newer requests go there directly.
    fn handle_one(&mut self, request: Request) -> bool {
        let (core, local) = (&self.core, &self.local);
        let is_over = self.turn.work(|| {
            let mut core = core.borrow_mut();
            core.handle(local, request);
            // Last, so that a request that is being handled still counts: see `Profiles::stop`.
            core.message_out();
        });
        is_over && !self.core.borrow().is_detached()
    }

    /// Deals with what waited for the actor. It comes before what is in the mailbox: that is not looked at while the
    /// context waits.
    fn handle_waiting(&mut self, context: &mut Context<Self>) {
        loop {
            let next = self.core.borrow_mut().next_waiting();
            let Some(request) = next else { return };
            if self.handle_one(request) {
                let pause = yield_now().into_actor(self);
                return context.wait(pause.map(|(), actor, context| actor.handle_waiting(context)));
            }
        }
    }
}

impl Actor for ProfileActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.handle_waiting(context);
    }
}

impl Handler<Request> for ProfileActor {
    type Result = ();

    /// actix polls a mailbox until it is empty, which one that is filled all the time never is: so the actor pauses when
    /// its turn is over, and the other actors and tasks of the shard get theirs.
    fn handle(&mut self, request: Request, context: &mut Self::Context) {
        if self.handle_one(request) {
            context.wait(yield_now().into_actor(self));
        }
    }
}

impl Drop for ProfileActor {
    /// After a panic: the roster and the shard must not keep what is left. Otherwise it is detached already.
    fn drop(&mut self) {
        if let Ok(mut core) = self.core.try_borrow_mut() {
            core.detach(&self.local);
        }
    }
}
