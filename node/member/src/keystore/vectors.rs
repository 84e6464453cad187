//! Keystores that other tools wrote, for tests.

/// The PBKDF2 vector of the Web3 Secret Storage definition, and its key and password under the scrypt parameters
/// of geth's `--lightkdf`, made with other programs (Python's hashlib, OpenSSL, cast).
pub(super) const KNOWN_KEY: &str =
    "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
pub(super) const KNOWN_PASSWORD: &str = "testpassword";
pub(super) const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":
    {"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
pub(super) const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
    "ciphertext":"584f4eb2783472ec149b334c22d77ddbf118a0783ea24e66ca8a7883cd2b4bf5","kdf":"scrypt","kdfparams":
    {"dklen":32,"n":4096,"p":6,"r":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
    "mac":"860ad3ce9642f99d709abc696e25ede7cd35daf6a6041e975d14c53dae118886"},
    "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

/// What other tools wrote of [`KNOWN_KEY`]: the tool, the password, the keystore. The scrypt and PBKDF2 parameters are
/// light, so that the tests are fast.
pub(super) const WRITTEN: [(&str, &str, &str); 6] = [
    (
        "ethers.js 6 (encryptKeystoreJson)",
        "testpassword",
        r#"{"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b","id":"5e67b440-dbd4-4f21-9710-9af2d88a1d0c","version":3,"Crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"686b4797e133439dfc97e2d8eb0c3933"},"ciphertext":"16cc6e798fa05008c3c7483ef0fba2fd73d3554e89242cafcfd51771f3175186","kdf":"scrypt","kdfparams":{"salt":"bc2f752e04892553f8e6585cf2410b87f079216283adeff627bf41d242077de9","n":1024,"dklen":32,"p":1,"r":8},"mac":"664da7a4b0e4165495f290fde5b2b911290aac22a741cfb99bbf532aea406577"}}"#,
    ),
    (
        "ethers.js 6, a password whose NFKC form is another",
        "pa\u{17f}\u{17f}wort\u{fb01}",
        r#"{"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b","id":"a9616948-12f7-4c3d-8e07-bbb2d19476e8","version":3,"Crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"162332c7d9af78547f8c95e7bd3dbbcd"},"ciphertext":"4eec0d91cb0bcd7d251366c4d842cca21564216908cad460b398873de3ca8252","kdf":"scrypt","kdfparams":{"salt":"dd8e2f901a9b09dcfce0fc9568453ddb493f05d9441d0a1a1d6f3640b6925ca8","n":1024,"dklen":32,"p":1,"r":8},"mac":"3bdc87588ac1a96ec0f6b00f6f57543c2b86ce1cf1effb1ce3079e36c24af3e9"}}"#,
    ),
    (
        "ethers.js 5 (Wallet.encrypt)",
        "testpassword",
        r#"{"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b","id":"136aba33-73fe-43de-9c02-291ee752ae89","version":3,"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"02f6e99fe06255ac6ee18699351bd8a3"},"ciphertext":"3561c77ce92b04d75480fd3b77175673421e9b559db364b7e356160666fc872f","kdf":"scrypt","kdfparams":{"salt":"e06fd625322093f1e19332cd5312e5d3e9947a7b440fdf5dc759ab90d7dba626","n":1024,"dklen":32,"p":1,"r":8},"mac":"20acc3c9f7cb28f57d2f9199eab540ad41341b34936d9498f08c7a482006918f"}}"#,
    ),
    (
        "eth-account and Brownie (scrypt)",
        "testpassword",
        r#"{"address": "008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b", "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "8db8b638960ecb526ef660fbfba9f670"}, "ciphertext": "8bc9ee2bedd983a8bf1f82b6c2b06d59115ac7917f267352fe2f14edda4e007e", "kdf": "scrypt", "kdfparams": {"dklen": 32, "n": 1024, "r": 8, "p": 1, "salt": "a09aa0a0bf390549b446293c8bac452c"}, "mac": "374ca843c924bb6673b2d87a98672aab300602ad967c9ecd3d47654c75a783a1"}, "id": "ad3bc332-5753-44dc-b6c7-fe5b775c474a", "version": 3}"#,
    ),
    (
        "eth-account and Brownie (PBKDF2)",
        "testpassword",
        r#"{"address": "008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b", "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "d3bda0d44336e242a8ae6cfbe2b75d06"}, "ciphertext": "0c63a14a0b299d4650c912738aeed8cbe68d678bc697ff47401a54934c1406d5", "kdf": "pbkdf2", "kdfparams": {"c": 1000, "dklen": 32, "prf": "hmac-sha256", "salt": "61e0e2670dd226b02bbadc8d6c19a5ca"}, "mac": "15bccc0ad73f233916eede70acbd207f322cfba21d8ff33df40e90bdbe28e72c"}, "id": "1d099911-5b9b-49b3-a837-23b00658a64e", "version": 3}"#,
    ),
    (
        "Foundry (cast wallet import)",
        "testpassword",
        r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"b7e015458fc7fc0e69841aa4bfa3a660"},"ciphertext":"6c9dd6683d21498906038ea50a0eab4ab09549608230679d289f34a2e3a9f0b7","kdf":"scrypt","kdfparams":{"dklen":32,"n":8192,"p":1,"r":8,"salt":"10865a7afc69fc003279756eb27d5c164b06f109c8a811ad4f236325dd343995"},"mac":"58ad302731b6b9cce59722122e67dd1392caa33420a82891deff6c10b267a104"},"id":"8c2698a7-c03e-402e-b58a-ef832b94da64","version":3}"#,
    ),
];
