//! RSA moduli of the chips that made guessable primes (CVE-2017-15361, "ROCA"): whoever sees such
//! a public key can compute its private one.

/// Small primes, and for each the remainders that such a modulus can leave: the powers of 65537.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, big-endian, bears the fingerprint. Another modulus does by chance once in
/// more than a hundred million.
pub(crate) fn is_fingerprinted(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let remainder =
            modulus.iter().fold(0, |rest: u32, &byte| (rest * 256 + u32::from(byte)) % prime);
        let generator = 65_537 % prime;
        let mut power = 1;
        for _ in 0..prime {
            if power == remainder {
                return true;
            }
            power = power * generator % prime;
        }
        false
    })
}
