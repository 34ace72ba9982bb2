//! Comparison of passwords with bcrypt hashes, away from the JavaScript thread: each takes about 60 milliseconds at
//! the usual cost, and the page has to be served meanwhile.

use bcrypt::BcryptError;
use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Result, Task};
use napi_derive::napi;

/// One comparison on a thread of the runtime's pool. The caller sees to it that few run at the same time.
pub struct PasswordCheck {
    password: Vec<u8>,
    hash: String,
}

impl Task for PasswordCheck {
    type Output = bool;
    type JsValue = bool;

    fn compute(&mut self) -> Result<bool> {
        Ok(is_right(&self.password, &self.hash))
    }

    fn resolve(&mut self, _env: Env, is_right: bool) -> Result<bool> {
        Ok(is_right)
    }
}

/// Says whether a password belongs to a bcrypt hash (`$2a$`, `$2b$` or `$2y$`). A malformed hash belongs to none.
#[napi(ts_return_type = "Promise<boolean>")]
#[must_use]
pub fn verify_password(password: Uint8Array, hash: String) -> AsyncTask<PasswordCheck> {
    AsyncTask::new(PasswordCheck { password: password.to_vec(), hash })
}

/// Compares in constant time; only the first 72 bytes count, as everywhere with bcrypt.
fn is_right(password: &[u8], hash: &str) -> bool {
    let compared: std::result::Result<bool, BcryptError> = bcrypt::verify(password, hash);
    compared.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::is_right;

    /// A hash with one of the prefixes that programs write; all three mean the same algorithm.
    fn hash(prefix: &str) -> String {
        let parts = bcrypt::hash_with_salt(b"correct horse", 4, *b"0123456789abcdef").unwrap();
        format!("${prefix}{}", &parts.to_string()[3..])
    }

    #[test]
    fn the_right_password_is_told_from_others_with_every_prefix() {
        for prefix in ["2a", "2b", "2y"] {
            let hash = hash(prefix);
            assert!(is_right(b"correct horse", &hash), "{hash}");
            for wrong in [b"correct hors".as_slice(), b"", b"Correct horse", b"correct horse\0x"] {
                assert!(!is_right(wrong, &hash), "{wrong:?} {hash}");
            }
        }
    }

    #[test]
    fn a_hash_of_another_program_is_understood() {
        // Written by "htpasswd -nbBC 4 alice secret" of Apache 2.4.
        let hash = "$2y$04$TCUNVdRScz9WMeXbmK3ocenbDMrNffai7iNp0pxXiFVr0gUG3qxYu";
        assert!(is_right(b"secret", hash));
    }

    #[test]
    fn a_malformed_hash_belongs_to_no_password() {
        for hash in ["", "secret", "$2y$", "$2y$99$abc", "$1$abc$def", "$2y$04$\u{e9}"] {
            assert!(!is_right(b"secret", hash), "{hash}");
        }
    }
}
