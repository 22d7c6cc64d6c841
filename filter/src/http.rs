//! One HTTP stream: every callback is one call of the engine's `Driver`.

use crate::host::{EnvoyHost, Phase};
use crate::root::Shared;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action as EnvoyAction;
use std::cell::RefCell;
use std::rc::Rc;
use veilwire_engine::decision::Direction;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::exchange::CalloutReply;

/// The context of a stream.
pub(crate) struct Http {
    context_id: u32,
    shared: Rc<Shared>,
    /// Made with the request's headers: only then are the facts of the connection known.
    driver: Option<Rc<RefCell<Driver>>>,
    /// It was answered without one.
    refused: bool,
}

impl Http {
    pub(crate) fn new(context_id: u32, shared: Rc<Shared>) -> Self {
        Http { context_id, shared, driver: None, refused: false }
    }

    fn drive(
        &mut self,
        phase: Phase,
        call: impl FnOnce(&mut Driver, &mut EnvoyHost<'_>) -> Action,
    ) -> EnvoyAction {
        let mut host = EnvoyHost::new(self.context_id, &self.shared, phase);
        if self.driver.is_none() {
            // What follows a refusal is its own answer.
            if self.refused && phase != Phase::Log {
                return EnvoyAction::Continue;
            }
            let policy = match phase {
                Phase::RequestHead => self.shared.policy_of_exchange(),
                // Refused before it reached the filter, or for its keys: nothing is masked any more.
                _ => self.shared.policy(),
            };
            let Some(policy) = policy else {
                self.refused = true;
                return host.refuse_unconfigured();
            };
            let driver = Rc::new(RefCell::new(Driver::new(policy, &host)));
            self.shared.enter(self.context_id, &driver);
            self.driver = Some(driver);
        }
        let Some(mut driver) = self.driver.as_ref().and_then(|driver| driver.try_borrow_mut().ok()) else {
            return host.refuse_unconfigured();
        };
        match call(&mut driver, &mut host) {
            Action::Continue => EnvoyAction::Continue,
            Action::Pause => EnvoyAction::Pause,
        }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        let answer = EnvoyHost::callout_answer(headers, body);
        self.drive(Phase::Callout, |driver, host| {
            let reply = match &answer {
                Some((status, body)) => CalloutReply::Answer { status: *status, body },
                None => CalloutReply::Failed,
            };
            driver.callout_reply(host, token, reply);
            Action::Pause
        });
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> EnvoyAction {
        self.drive(Phase::RequestHead, |driver, host| driver.request_head(host, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> EnvoyAction {
        self.drive(Phase::RequestBody { size }, |driver, host| {
            driver.body(host, Direction::Request, size, end)
        })
    }

    fn on_http_request_trailers(&mut self, _: usize) -> EnvoyAction {
        self.drive(Phase::RequestTrailers, |driver, host| driver.trailers(host, Direction::Request))
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> EnvoyAction {
        self.drive(Phase::ResponseHead, |driver, host| driver.response_head(host, end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> EnvoyAction {
        self.drive(Phase::ResponseBody { size }, |driver, host| {
            driver.body(host, Direction::Response, size, end)
        })
    }

    fn on_http_response_trailers(&mut self, _: usize) -> EnvoyAction {
        self.drive(Phase::ResponseTrailers, |driver, host| driver.trailers(host, Direction::Response))
    }

    fn on_log(&mut self) {
        self.drive(Phase::Log, |driver, host| {
            driver.finish(host);
            Action::Continue
        });
        self.shared.leave(self.context_id);
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.shared.leave(self.context_id);
    }
}
