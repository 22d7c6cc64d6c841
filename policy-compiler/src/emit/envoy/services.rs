//! Services as clusters: like upstreams, under names of their own.

use crate::diagnostic::Text;
use crate::source::reader::Named;
use crate::source::services::{Service, cluster};
use crate::source::upstreams::Upstream;

/// What is at the other end of a service, under the name of its cluster.
pub(super) fn peer(service: &Named<Service>) -> Named<Upstream> {
    let name = Text::new(cluster(&service.name.value), service.name.span);
    Named { name, body: service.body.peer.clone() }
}
