//! Many server processes on one PostgreSQL database.

use std::io::{BufRead as _, BufReader};

use grantor_test_cluster::{Cluster, free_port};

use crate::house::House;

const PROCESSES: usize = 10;

#[test]
fn d6_postgres_ten_servers_that_start_at_once_on_an_empty_database_are_all_ready() {
    let database = Cluster::shared_database().unwrap();
    let house = House::new();
    let mut servers = Vec::new();
    for at in 0..PROCESSES {
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let config = format!(
            "store = \"{}\"\nmaster_key_file = \"master.key\"\n[environment.staging]\n\
             base_url = \"https://auth.example.com\"\nlisten = \"{address}\"\n\
             trusted_proxies = [\"127.0.0.1\"]\n",
            database.url()
        );
        let name = format!("{at}.toml");
        house.write(&name, &config);
        servers.push(house.start(&["serve", "--json", "--config", &name]));
    }
    let mut not_ready = Vec::new();
    for server in &mut servers {
        let mut ready = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        not_ready.extend(ready.is_empty().then_some(()));
    }
    let mut words = String::new();
    for mut server in servers {
        server.kill().unwrap();
        let output = server.wait_with_output().unwrap();
        words.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(not_ready, [], "{words}");
    // What the servers said is for whoever finds this failed.
    println!("{words}");
    let count = |sql: &str| database.execute(sql).unwrap().remove(0).unwrap();
    assert_eq!(count("SELECT count(*) FROM schema_migrations"), "3");
    assert_eq!(count("SELECT count(*) FROM schema_leases"), "0");
    assert_eq!(count("SELECT count(*) FROM installation"), "1");
    assert_eq!(count("SELECT count(DISTINCT environment) FROM sealing_keys"), "3");
    assert_eq!(count("SELECT count(*) FROM sealing_keys"), "3");
}
