// A signer with the published API of Web3Signer for Ethereum's keys, made anew from its documents: it lists public keys, and signs the
// keccak-256 of the data that it is given. Nothing of it is shared with the program under test.
//
//   node signer.mjs PORT KEYS [CERTIFICATE KEY CLIENTS]
//
// KEYS is a file with a private key in hex on each line. With CERTIFICATE and KEY it speaks HTTPS, and only with those who show a
// certificate of CLIENTS. It writes a line for each request: the method, the path, and the status. It ends with its standard input.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { secp256k1 } from '@noble/curves/secp256k1';
import { keccak_256 } from '@noble/hashes/sha3';

const [port, keysFile, certificate, key, clients] = process.argv.slice(2);
const hex = (bytes) => `0x${Buffer.from(bytes).toString('hex')}`;
const bytesOf = (text) => Buffer.from(text.replace(/^0x/, ''), 'hex');

const secrets = readFileSync(keysFile, 'utf8').split('\n').filter(Boolean).map(bytesOf);
const keys = new Map(secrets.map((secret) => [hex(secp256k1.getPublicKey(secret, false).slice(1)), secret]));

function sign(secret, data) {
  const signature = secp256k1.sign(keccak_256(data), secret);
  return hex(Buffer.concat([signature.toCompactRawBytes(), Buffer.from([27 + signature.recovery])]));
}

function answer(method, path, body) {
  if (method === 'GET' && path === '/upcheck') return [200, 'text/plain; charset=utf-8', 'OK'];
  if (method === 'GET' && path === '/api/v1/eth1/publicKeys') {
    return [200, 'application/json', JSON.stringify([...keys.keys()])];
  }
  const named = path.match(/^\/api\/v1\/eth1\/sign\/(0x[0-9a-f]+)$/);
  if (method !== 'POST' || !named) return [404, 'text/plain', 'Resource not found'];
  const secret = keys.get(named[1]);
  if (!secret) return [404, 'text/plain', 'Public Key not found'];
  let data;
  try {
    ({ data } = JSON.parse(body));
  } catch {
    return [400, 'text/plain', 'Bad request format'];
  }
  if (typeof data !== 'string' || !/^0x([0-9a-f]{2})+$/.test(data)) return [400, 'text/plain', 'Bad request format'];
  return [200, 'text/plain; charset=utf-8', sign(secret, bytesOf(data))];
}

async function listener(request, response) {
  let body = '';
  for await (const part of request) body += part;
  const [status, type, text] = answer(request.method, request.url, body);
  console.log(request.method, request.url, status);
  response.writeHead(status, { 'content-type': type }).end(text);
}

const server = certificate
  ? createTlsServer(
      {
        cert: readFileSync(certificate),
        key: readFileSync(key),
        ca: readFileSync(clients),
        requestCert: true,
        rejectUnauthorized: true,
      },
      listener,
    )
  : createServer(listener);
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
process.stdin.on('end', () => process.exit(0)).resume();
