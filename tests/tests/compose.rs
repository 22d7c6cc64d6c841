//! `docker-compose.yml`: what it mounts is there or is written by the command it names, its Envoy configuration is
//! the one that the compiler writes, Envoy accepts it, and the two services talk to each other as written.
#![cfg(test)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use veilwire_tests::client::{ALPN_HTTP1, Http1Client};
use veilwire_tests::demo::{FOLDER, PREPARED, prepare_in, repository};
use veilwire_tests::envoy::{self, Envoy};
use veilwire_tests::wire::RequestHead;

const MOUNT: &str = "/etc/veilwire";

/// One container of the file.
struct Service {
    image: String,
    command: Vec<String>,
    /// Path here and path in the container.
    mounts: Vec<(String, String)>,
    document: Value,
}

fn services() -> Vec<(String, Service)> {
    let text = std::fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let known = ["name", "services"];
    assert!(file.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{file}");
    let services = file["services"].as_object().unwrap();
    services.iter().map(|(name, service)| (name.clone(), Service::new(service))).collect()
}

impl Service {
    fn new(service: &Value) -> Self {
        let known = ["image", "command", "ports", "volumes", "depends_on", "restart"];
        assert!(service.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{service}");
        let texts = |name: &str| -> Vec<String> {
            let list = service[name].as_array().unwrap_or_else(|| panic!("no {name}"));
            list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let mounts = texts("volumes").into_iter().map(|volume| {
            let parts: Vec<&str> = volume.split(':').collect();
            let [here, there, "ro"] = parts[..] else { panic!("not a read-only mount: {volume}") };
            (here.to_owned(), there.to_owned())
        });
        Self {
            image: service["image"].as_str().unwrap().to_owned(),
            command: texts("command"),
            mounts: mounts.collect(),
            document: service.clone(),
        }
    }

    /// The path here of a path in the container, seen from the repository.
    fn here(&self, there: &str) -> String {
        let (here, mount) = self.mounts.iter().find(|(_, mount)| there.starts_with(mount.as_str())).unwrap();
        there.replacen(mount.as_str(), here, 1).trim_start_matches("./").to_owned()
    }
}

fn service(name: &str) -> Service {
    services().into_iter().find(|(other, _)| other == name).unwrap().1
}

/// The prepared folder as Envoy in a container sees it, on this machine's paths, with other addresses.
fn on_this_machine(folder: &Path, upstream: u16) -> String {
    let yaml = std::fs::read_to_string(folder.join("envoy.yaml")).unwrap();
    let once = |text: &str, old: &str, new: &str| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, new)
    };
    let yaml = once(&yaml, "port_value: 8443", "port_value: 0");
    let yaml = once(&yaml, "port_value: 9901", "port_value: 0");
    let yaml = once(&yaml, "port_value: 9443", &format!("port_value: {upstream}"));
    let yaml = once(&yaml, "address: upstream", "address: 127.0.0.1");
    yaml.replace(MOUNT, &folder.display().to_string())
}

#[test]
fn every_mount_is_in_the_repository_or_prepared() {
    let folder = TempDir::new().unwrap();
    prepare_in(folder.path(), MOUNT).unwrap();
    for (name, service) in services() {
        for (here, _) in &service.mounts {
            let here = here.strip_prefix("./").unwrap_or_else(|| panic!("{name} mounts {here}"));
            assert!(here == FOLDER || repository().join(here).is_file(), "{name} mounts {here}");
        }
        for path in service.command.iter().filter(|word| word.starts_with('/')) {
            let here = service.here(path);
            let prepared =
                here.strip_prefix(FOLDER).map(|rest| folder.path().join(rest.trim_start_matches('/')));
            assert!(prepared.unwrap_or_else(|| repository().join(&here)).exists(), "{name} uses {path}");
        }
    }
    for name in PREPARED {
        assert!(folder.path().join(name).is_file(), "{name} is not prepared");
    }
    let text = std::fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    assert!(text.contains("cargo xtask demo --prepare"));
}

#[test]
fn images_are_arguments_with_defaults() {
    for (name, service) in services() {
        let argument = format!("${{{}_IMAGE:-", name.to_uppercase());
        assert!(service.image.starts_with(&argument) && service.image.ends_with('}'), "{}", service.image);
        let default = service.image.trim_start_matches(&argument).trim_end_matches('}');
        assert!(default.contains(':'), "{default} has no version");
    }
    assert!(service("envoy").image.contains("envoyproxy/envoy:v1.40"));
}

#[test]
fn ports_and_hosts_are_those_of_the_configuration() {
    let folder = TempDir::new().unwrap();
    prepare_in(folder.path(), MOUNT).unwrap();
    let yaml = std::fs::read_to_string(folder.path().join("envoy.yaml")).unwrap();
    let config: Value = serde_saphyr::from_str(&yaml).unwrap();
    let listener = &config["static_resources"]["listeners"][0]["address"]["socket_address"];
    assert_eq!((&listener["address"], &listener["port_value"]), (&"0.0.0.0".into(), &8443.into()));
    let published = service("envoy").document["ports"][0].as_str().unwrap().to_owned();
    assert!(published.starts_with("127.0.0.1:") && published.ends_with(":8443"), "{published}");

    let cluster = &config["static_resources"]["clusters"][0];
    let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
    let host = endpoint["address"].as_str().unwrap();
    assert!(services().iter().any(|(name, _)| name == host), "no service is called {host}");
    let script = std::fs::read_to_string(repository().join("envoy/docker/upstream.py")).unwrap();
    assert!(script.contains(&format!("default={}", endpoint["port_value"])), "{endpoint}");
}

#[test]
fn envoy_accepts_the_configuration() {
    let folder = TempDir::new().unwrap();
    prepare_in(folder.path(), MOUNT).unwrap();
    let config = folder.path().join("here.yaml");
    std::fs::write(&config, on_this_machine(folder.path(), 9443)).unwrap();
    let output = envoy::validate(&config, &envoy::Options::default()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_two_services_talk_and_the_upstream_gets_masked_text() {
    let folder = TempDir::new().unwrap();
    let pki = prepare_in(folder.path(), MOUNT).unwrap();
    let upstream = Python::start(folder.path());
    let config = folder.path().join("here.yaml");
    std::fs::write(&config, on_this_machine(folder.path(), upstream.port)).unwrap();
    let envoy = Envoy::start(&config).unwrap();
    let address = envoy.address("veilwire").unwrap();

    let token = std::fs::read_to_string(folder.path().join("agent.header")).unwrap();
    let (name, value) = token.trim().split_once(": ").unwrap();
    let mut head = RequestHead::new(
        "POST",
        "/v1/chat/completions",
        &[("content-type", "application/json"), (name, value)],
    );
    head.authority = "llm.local".to_owned();
    let connect = || {
        let config = pki.client_config(&[ALPN_HTTP1], None, rustls::ALL_VERSIONS).unwrap();
        Http1Client::connect(address, config).unwrap()
    };
    let body = br#"{"model":"m","messages":[{"role":"user","content":"SSN 123-45-6788"}]}"#;
    let echo = connect().request(&head, body).unwrap();
    assert_eq!(echo.head.status, 200, "{}\n{}", echo.text(), envoy.log_tail());
    assert!(echo.text().contains("SSN [ID]"), "{}", echo.text());

    let stream = connect().request(&head, br#"{"model":"m","stream":true,"messages":[]}"#).unwrap();
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}\n{}", stream.text(), envoy.log_tail());
    assert_eq!(stream.text().matches("[SECRET]").count(), 1, "{}", stream.text());
}

/// Only where there is a Docker with compose: its own opinion about the file.
#[test]
fn docker_compose_accepts_the_file_where_it_is_installed() {
    let works = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.current_dir(repository()).args(arguments).stdin(Stdio::null());
        docker.output().ok()
    };
    if works(&["compose", "version"]).is_none_or(|output| !output.status.success()) {
        return;
    }
    let output = works(&["compose", "config", "--quiet"]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The upstream of the file, run by the Python of this machine.
struct Python {
    child: Child,
    port: u16,
}

impl Python {
    fn start(folder: &Path) -> Self {
        let script = service("upstream").here("/srv/upstream.py");
        let mut child = Command::new("python3")
            .arg(repository().join(script))
            .arg("--folder")
            .arg(folder)
            .args(["--address", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok());
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { child, port: port.unwrap_or_else(|| panic!("the upstream said {line:?}")) }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
