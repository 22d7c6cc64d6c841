//! Step 1: nothing but TLS of a good version gets in.

use anyhow::Result;

use super::Story;
use crate::demo::show::Teller;
use crate::probe::{self, Answer, PROTOCOL_VERSION};

const TLS12: u16 = 0x0303;

impl Story<'_> {
    pub(super) fn door(&self, teller: &mut Teller<'_>) -> Result<()> {
        let address = self.stage.address;
        teller.step("Only TLS gets in")?;
        teller.check("plaintext HTTP on the TLS port", "closed without one byte of an answer", || {
            let answer = probe::plaintext(address)?;
            Ok((describe(&answer), answer == Answer::Closed))
        })?;
        teller.check("a ClientHello of TLS 1.1", "TLS alert protocol_version", || {
            let answer = probe::tls11(address)?;
            Ok((describe(&answer), answer == Answer::Alert(PROTOCOL_VERSION)))
        })?;
        teller.check("the same ClientHello with TLS 1.2", "a ServerHello of TLS 1.2", || {
            let answer = probe::tls_version(address, TLS12)?;
            Ok((describe(&answer), answer == Answer::ServerHello(TLS12)))
        })?;
        Ok(())
    }
}

fn describe(answer: &Answer) -> String {
    match answer {
        Answer::Alert(PROTOCOL_VERSION) => "TLS alert protocol_version".to_owned(),
        Answer::Alert(number) => format!("TLS alert {number}"),
        Answer::ServerHello(TLS12) => "a ServerHello of TLS 1.2".to_owned(),
        Answer::ServerHello(version) => format!("a ServerHello of version {version:#06x}"),
        Answer::Closed => "closed without one byte of an answer".to_owned(),
        Answer::Bytes(bytes) => format!("{} bytes of something else", bytes.len()),
    }
}
