//! The ProfileActor: an actix mailbox in front of one user's state.

use std::cell::RefCell;
use std::rc::Rc;

use actix::prelude::*;
use tokio::task::yield_now;

use super::shard::Shard;
use crate::priority::Priority;
use crate::profile::ProfileState;
use crate::request::Request;
use crate::turn::Turn;

/// One user's actor.
///
/// The shard holds the state too, since it receives the outcomes of commits. Nothing is awaited while the state is
/// borrowed. The actor has no timer and no stream, and no future but the pause at the end of a turn: a million actors
/// must fit into memory.
pub(crate) struct ProfileActor {
    state: Rc<RefCell<ProfileState>>,
    shard: Rc<Shard>,
    turn: Turn,
}

impl ProfileActor {
    /// Starts the actor on this thread's arbiter. It ends when its last address is dropped.
    pub(super) fn launch(state: Rc<RefCell<ProfileState>>, shard: Rc<Shard>) -> Addr<Self> {
        let mut context = Context::new();
        // The roster counts the messages of each class. The mailbox must not be full before the roster finds it so.
        let options = &shard.runtime.services.options;
        context.set_mailbox_capacity(options.mailbox_limits().of(Priority::OwnWrite) + 1);
        context.run(Self { state, shard, turn: Turn::default() })
    }

    /// Deals with one request. Returns whether the actor must pause, as its turn is over. A detached actor never pauses:
    /// what is left in its mailbox goes to the user's next actor, which newer requests reach directly.
    fn handle_one(&mut self, request: Request) -> bool {
        let (state, shard) = (&self.state, &self.shard);
        let is_over = self.turn.work(|| {
            let mut state = state.borrow_mut();
            shard.handle_request(&mut state, request);
            // Last, so that `Profiles::stop` waits for a request that is being handled.
            state.message_out();
        });
        is_over && !self.state.borrow().is_detached()
    }

    /// Deals with the requests that waited for the actor. They come before those in the mailbox, which actix does not
    /// look at while the context waits.
    fn handle_waiting(&mut self, context: &mut Context<Self>) {
        loop {
            let next = self.state.borrow_mut().next_waiting();
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

    /// Deals with a request. actix polls a mailbox until it is empty, and a mailbox that is filled all the time never is.
    /// So the actor pauses when its turn is over, and the other actors and tasks of the shard run.
    fn handle(&mut self, request: Request, context: &mut Self::Context) {
        if self.handle_one(request) {
            context.wait(yield_now().into_actor(self));
        }
    }
}

impl Drop for ProfileActor {
    /// Removes what is left after a panic from the roster and the shard. In every other case the actor is detached
    /// already.
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            self.shard.detach(&mut state);
        }
    }
}
