'use strict';
// Access tokens (RFC 9068) signed with the server's development secret (RFC 7515, HS256).

const { createHmac, randomUUID } = require('node:crypto');

// Issues tokens by the server's clock.
class Minter {
  constructor(secret, clockOffsetS) {
    this.secret = Buffer.from(secret, 'base64');
    this.clockOffsetS = clockOffsetS;
  }

  forCaller(caller, lifeS) {
    const now = Math.floor(Date.now() / 1000) + this.clockOffsetS;
    const claims = {
      iss: 'profile-server', aud: 'profile-server', sub: caller.sub, role: caller.role, scope: caller.scope,
      iat: now - 60, nbf: now - 60, exp: now + lifeS, jti: randomUUID(),
    };
    if (caller.act !== null) claims.act = { sub: caller.act };
    const parts = [{ alg: 'HS256', typ: 'at+jwt' }, claims];
    const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${signed}.${createHmac('sha256', this.secret).update(signed).digest('base64url')}`;
  }
}

module.exports = { Minter };
