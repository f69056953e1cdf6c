use std::fs;
use std::path::PathBuf;

use super::*;

/// Two files in a folder of their own.
struct House {
    _folder: tempfile::TempDir,
    files: TlsFiles,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let files = TlsFiles { certificate: path("chain.pem"), key: path("key.pem") };
        let house = House { _folder: folder, files };
        house.renew();
        house
    }

    /// Puts a new certificate in the place of the old one, as a renewer does.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        self.replace(&self.files.certificate, &made.cert.pem());
        self.replace(&self.files.key, &made.signing_key.serialize_pem());
    }

    fn replace(&self, path: &Path, text: &str) {
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, path).unwrap();
    }
}

fn why(files: TlsFiles) -> String {
    match Certificate::load(files) {
        Err(ListenError::Certificate { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the certificate was taken"),
    }
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let house = House::new();
    let certificate = Certificate::load(house.files.clone()).unwrap();
    let first = certificate.current().get_inner();
    certificate.look();
    assert!(Arc::ptr_eq(&first, &certificate.current().get_inner()), "nothing changed");

    house.renew();
    certificate.look();
    let second = certificate.current().get_inner();
    assert!(!Arc::ptr_eq(&first, &second), "a new certificate is there");

    house.replace(&house.files.certificate, "broken");
    certificate.look();
    fs::remove_file(&house.files.key).unwrap();
    certificate.look();
    certificate.reload();
    assert!(Arc::ptr_eq(&second, &certificate.current().get_inner()), "the old one is kept");

    house.renew();
    certificate.look();
    assert!(!Arc::ptr_eq(&second, &certificate.current().get_inner()), "it is whole again");
}

#[test]
fn a_certificate_without_its_key_is_not_taken_while_it_is_being_renewed() {
    let house = House::new();
    let certificate = Certificate::load(house.files.clone()).unwrap();
    let first = certificate.current().get_inner();
    let old_key = fs::read_to_string(&house.files.key).unwrap();
    house.renew();
    let new_key = fs::read_to_string(&house.files.key).unwrap();
    house.replace(&house.files.key, &old_key);
    certificate.look();
    assert!(Arc::ptr_eq(&first, &certificate.current().get_inner()));
    house.replace(&house.files.key, &new_key);
    certificate.look();
    assert!(!Arc::ptr_eq(&first, &certificate.current().get_inner()));
}

#[test]
fn what_is_wrong_with_the_files_is_said_without_quoting_the_key() {
    let house = House::new();
    let key = fs::read_to_string(&house.files.key).unwrap();
    let swapped =
        TlsFiles { certificate: house.files.key.clone(), key: house.files.certificate.clone() };
    assert!(why(swapped).ends_with("it holds no certificate"));
    house.replace(&house.files.key, &key.replace("PRIVATE", "PUBLIC"));
    let words = why(house.files.clone());
    assert!(words.ends_with("it holds no private key in PEM form"), "{words}");
    fs::remove_file(&house.files.key).unwrap();
    assert!(why(house.files.clone()).contains("No such file"));
}
