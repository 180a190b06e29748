//! A fleet registered from a file, through the real binary.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::device::connect;
use support::sluice::{Folder, Sluice};

fn answer(sluice: &Sluice, id: &str, password: &str) -> [u8; 4] {
    let mut stream = TcpStream::connect(sluice.address("mqtt")).expect("the server listens");
    stream.write_all(&connect(id, password)).expect("the server reads");
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).expect("the server answers");
    connack
}

#[test]
fn a_fleet_from_a_file_and_a_token_are_let_in() {
    let folder = Folder::new("");
    let sluice = folder.start();
    let file = folder.dir.path().join("fleet.csv");
    let path = file.to_str().expect("a path of plain text");
    std::fs::write(&file, "id,family,area\na-1,air,north\na-2,gas,north\n").expect("the folder takes a file");
    let refused = folder.command(&["device", "import", path]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 3: \"gas\" is not a family"));
    assert!(!String::from_utf8_lossy(&folder.command(&["device", "list"]).stdout).contains("a-1"));

    std::fs::write(&file, "id,family,area\na-1,air,north\na-2,water,north\n")
        .expect("the folder takes a file");
    let output = folder.command(&["device", "import", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("passwords are text");
    let passwords: Vec<_> = told.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    assert_eq!(passwords.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["a-1", "a-2"]);
    for (id, password) in &passwords {
        assert_eq!(answer(&sluice, id, password), [0x20, 2, 0, 0], "{id}");
    }

    let token = folder.command(&["device", "token", "a-1", "--valid", "1h"]).stdout;
    let token = String::from_utf8(token).expect("a token is text");
    assert_eq!(answer(&sluice, "a-1", token.trim()), [0x20, 2, 0, 0]);
    assert_eq!(answer(&sluice, "a-2", token.trim()), [0x20, 2, 0, 4], "it is another's");
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
}
