//! The actix side: a mailbox in front of the core.

use std::cell::RefCell;
use std::rc::Rc;

use actix::prelude::*;

use super::Core;
use super::request::Request;
use crate::roster::Local;

/// One user's actor.
///
/// Its state stands in a cell that the shard holds too, since the outcomes of commits come to the shard. Nothing is
/// awaited while it is borrowed. No timer, stream or future is ever attached to the actor: a million of them must fit.
pub(crate) struct ProfileActor {
    core: Rc<RefCell<Core>>,
    local: Rc<Local>,
}

impl ProfileActor {
    /// Starts the actor on this thread's arbiter. It ends when its last address is dropped.
    pub(crate) fn launch(core: Rc<RefCell<Core>>, local: Rc<Local>) -> Addr<Self> {
        let mut context = Context::new();
        context.set_mailbox_capacity(local.shared.options.mailbox_capacity);
        context.run(Self { core, local })
    }
}

impl Actor for ProfileActor {
    type Context = Context<Self>;

    /// What waited for the actor comes before what is in its mailbox.
    fn started(&mut self, _: &mut Self::Context) {
        let waiting = self.core.borrow_mut().take_waiting();
        for request in waiting {
            let mut core = self.core.borrow_mut();
            core.handle(&self.local, request);
            core.message_out();
        }
    }
}

impl Handler<Request> for ProfileActor {
    type Result = ();

    fn handle(&mut self, request: Request, _: &mut Self::Context) {
        let mut core = self.core.borrow_mut();
        core.handle(&self.local, request);
        // Last, so that a request that is being handled still counts: see `Profiles::stop`.
        core.message_out();
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
