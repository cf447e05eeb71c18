//! Pulp's schema: pulpcore's migrations make it once, which takes some 20 s, and others restore what they made.

use super::site::Site;
use crate::postgres::Administrator;
use std::{
    fs,
    process::{Command, id},
    sync::Mutex,
};

/// Fills an empty database.
pub(super) fn make(administrator: &Administrator, port: u16, site: &Site) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().expect("the others made it");
    // It goes with pulpcore's version, which the virtual environment is named by.
    let dump = site.venv().join("schema-of-postgresql-15.sql");
    if let Ok(schema) = fs::read_to_string(&dump) {
        let schema = site.folder().write("schema.sql", &schema);
        let mut psql = administrator.program("psql");
        _ = run(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f"]).arg(schema));
        return;
    }
    _ = run(site.script("pulpcore-manager", port).args(["migrate", "--noinput"]));
    let schema = run(&mut administrator.program("pg_dump"));
    // Another test's process may be as far.
    let written = dump.with_extension(id().to_string());
    fs::write(&written, schema).expect("a file");
    fs::rename(written, dump).expect("its name");
}

/// What a program prints.
fn run(program: &mut Command) -> Vec<u8> {
    let output = program.output().expect("a program");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
