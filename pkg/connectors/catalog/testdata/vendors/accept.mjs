// Asks the vendors' own libraries about the vectors of ../vectors.json: each
// one whose evidence names a package and version must be accepted by exactly
// that one, and refused once the signature or the secret is another.
//
//     make vendors
//
// go-pagerduty is a Go module and is asked by accept_test.go.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import https from 'node:https'

const require = createRequire(import.meta.url)
const here = new URL('.', import.meta.url)
const vectors = JSON.parse(readFileSync(new URL('../vectors.json', here)))
const pinned = JSON.parse(readFileSync(new URL('package.json', here))).dependencies

// Each answers whether the library accepts the vector; throwing refuses.
const accept = {
  '@adyen/api-library': (v, h) => {
    const { hmacValidator: Validator } = require('@adyen/api-library')
    const validator = new Validator()
    if (h.hmacsignature) return validator.validateHMACSignature(v.secrets.at(-1), h.hmacsignature, v.body)
    const items = JSON.parse(v.body).notificationItems
    return items.every((i) => validator.validateHMAC(i.NotificationRequestItem, v.secrets.at(-1)))
  },
  '@hubspot/api-client': (v, h) => {
    const { Signature } = require('@hubspot/api-client')
    const options = { clientSecret: v.secrets.at(-1), requestBody: v.body }
    if (!h['x-hubspot-signature-v3']) return Signature.isValid({ ...options, signature: h['x-hubspot-signature'] })
    return Signature.isValid({
      ...options, signature: h['x-hubspot-signature-v3'], signatureVersion: 'v3', method: v.method,
      timestamp: Number(h['x-hubspot-request-timestamp']),
      url: v.url.replace('%40', '@'), // the library leaves to its caller what the documentation wants decoded
    })
  },
  '@linear/sdk': async (v, h) => {
    const { LinearWebhookClient } = await import('@linear/sdk/webhooks')
    const at = JSON.parse(v.body).webhookTimestamp
    return new LinearWebhookClient(v.secrets.at(-1)).verify(Buffer.from(v.body), h['linear-signature'], at)
  },
  '@notionhq/client': async (v, h) => {
    const { verifyWebhookSignature } = await import('@notionhq/client')
    return verifyWebhookSignature({ body: v.body, signature: h['x-notion-signature'], verificationToken: v.secrets.at(-1) })
  },
  '@octokit/webhooks-methods': async (v, h) => {
    const { verify } = await import('@octokit/webhooks-methods')
    return verify(v.secrets.at(-1), v.body, h['x-hub-signature-256'])
  },
  '@paddle/paddle-node-sdk': async (v, h) => {
    const { Paddle } = require('@paddle/paddle-node-sdk')
    return (await new Paddle('key').webhooks.isSignatureValid(v.body, v.secrets.at(-1), h['paddle-signature'])) === true
  },
  '@sendgrid/eventwebhook': (v, h) => {
    const { EventWebhook } = require('@sendgrid/eventwebhook')
    const e = new EventWebhook()
    const at = h['x-twilio-email-event-webhook-timestamp']
    return e.verifySignature(e.convertPublicKeyToECDSA(v.secrets.at(-1)), v.body, h['x-twilio-email-event-webhook-signature'], at)
  },
  '@shopify/shopify-api': async (v, h) => {
    await import('@shopify/shopify-api/adapters/node')
    const { shopifyApi } = await import('@shopify/shopify-api')
    const api = shopifyApi({
      apiKey: 'key', apiSecretKey: v.secrets.at(-1), hostName: 'hooks.example.com', apiVersion: '2026-07', isEmbeddedApp: true,
      logger: { log: () => {} },
    })
    const request = Object.assign(Readable.from([v.body]), { method: v.method, url: '/', headers: h })
    return (await api.webhooks.validate({ rawBody: v.body, rawRequest: request })).valid
  },
  '@slack/bolt': (v, h) => {
    const { isValidSlackRequest } = require('@slack/bolt')
    return isValidSlackRequest({ signingSecret: v.secrets.at(-1), body: v.body, headers: h, nowMilliseconds: v.now * 1000 })
  },
  '@zoom/rivet': async (v, h) => {
    const { AwsLambdaReceiver } = await import('@zoom/rivet/meetings')
    const receiver = new AwsLambdaReceiver({ webhooksSecretToken: v.secrets.at(-1) })
    return (await receiver.start()({ body: v.body, headers: h, isBase64Encoded: false }, {})).statusCode === 200
  },
  'atlassian-jwt': (v, h) => {
    const { decodeSymmetric } = require('atlassian-jwt')
    return Boolean(decodeSymmetric(h.authorization.replace('Bearer ', ''), v.secrets.at(-1), 'HS256'))
  },
  'box-node-sdk': async (v, h) => {
    const { WebhooksManager } = require('box-node-sdk/managers/webhooks')
    const secondary = v.evidence.includes('secondary')
    return WebhooksManager.validateMessage(v.body, h, secondary ? 'none' : v.secrets.at(-1),
      secondary ? { secondaryKey: v.secrets.at(-1) } : {})
  },
  'discord-interactions': async (v, h) => {
    const { verifyKey } = require('discord-interactions')
    return verifyKey(v.body, h['x-signature-ed25519'], h['x-signature-timestamp'], v.secrets.at(-1))
  },
  'google-auth-library': async (v, h) => {
    const { OAuth2Client } = require('google-auth-library')
    const { createPublicKey } = await import('node:crypto')
    const keys = Object.values(v.serve).flatMap((set) => JSON.parse(set).keys)
    const certs = Object.fromEntries(keys.map((k) =>
      [k.kid, createPublicKey({ key: k, format: 'jwk' }).export({ type: 'spki', format: 'pem' })]))
    const token = h.authorization.replace('Bearer ', '')
    const ticket = await new OAuth2Client().verifySignedJwtWithCertsAsync(token, certs, v.url, ['https://accounts.google.com'])
    const claims = ticket.getPayload()
    return claims.email_verified && claims.email === v.secrets.at(-1)
  },
  'sns-validator': (v) => {
    const Validator = require('sns-validator')
    https.get = (url, answer) => {
      const response = Object.assign(Readable.from([v.serve[url]]), { statusCode: 200 })
      answer(response)
      return { on: () => {} }
    }
    return new Promise((resolve) => new Validator().validate(v.body, (err) => resolve(!err)))
  },
  square: async (v, h) => {
    const { WebhooksHelper } = require('square')
    return WebhooksHelper.verifySignature({
      requestBody: v.body, signatureHeader: h['x-square-hmacsha256-signature'], signatureKey: v.secrets.at(-1), notificationUrl: v.url,
    })
  },
  standardwebhooks: (v, h) => {
    const { Webhook } = require('standardwebhooks')
    return Boolean(new Webhook(v.secrets.at(-1)).verify(v.body, h))
  },
  stripe: async (v, h) => {
    const { default: Stripe } = await import('stripe')
    return Boolean(Stripe.webhooks.constructEvent(v.body, h['stripe-signature'], v.secrets.at(-1)))
  },
  svix: (v, h) => {
    const { Webhook } = require('svix')
    new Webhook(v.secrets.at(-1)).verify(v.body, h) // throws, and returns nothing
    return true
  },
  twilio: (v, h) => {
    const { validateRequest, validateRequestWithBody, getSignatureAlgorithm } = require('twilio/lib/webhooks/webhooks.js')
    const algorithm = getSignatureAlgorithm(h['x-twilio-webhooks-signature-settings'])
    const secret = v.secrets.at(-1), signature = h['x-twilio-signature']
    if (v.url.includes('bodySHA256')) return validateRequestWithBody(secret, signature, v.url, v.body, algorithm)
    const form = {}
    for (const [name, value] of new URLSearchParams(v.body)) form[name] = form[name] === undefined ? value : [form[name], value].flat()
    return validateRequest(secret, signature, v.url, form, algorithm)
  },
  whatsapp: (v, h) => {
    const { generateXHub256Sig } = require(new URL('node_modules/whatsapp/build/utils.js', here).pathname)
    return 'sha256=' + generateXHub256Sig(v.body, v.secrets.at(-1)) === h['x-hub-signature-256']
  },
}

const RealDate = Date
async function accepted(name, v) {
  // The libraries look at the clock; for a vector it stands still.
  globalThis.Date = class extends RealDate {
    constructor(...at) { super(...(at.length ? at : [v.now * 1000])) }
    static now() { return v.now * 1000 }
  }
  const headers = Object.fromEntries(Object.entries(v.headers).map(([k, value]) => [k.toLowerCase(), value]))
  try {
    return Boolean(await accept[name](v, headers))
  } catch {
    return false
  } finally {
    globalThis.Date = RealDate
  }
}

// forged is the vector with another secret, or for want of one another content.
const forged = (v) => v.noSecret
  ? { ...v, body: v.body.replace(v.signedPart, 'altered') }
  : { ...v, secrets: [v.secrets.at(-1).replace(/[a-z0-9]{1,4}(?!.*[a-z0-9])/i, (end) => end.replace(/./g, (c) => (c === 'A' ? 'B' : 'A')))] }

console.debug = () => {}
let passed = 0, failed = 0
for (const v of vectors) {
  for (const [, name, version] of v.evidence.matchAll(/(?:signed|accepted) by (\S+) (\d[\w.-]*\w)/g)) {
    if (name === 'go-pagerduty') continue
    const what = `${v.provider}: ${v.evidence}`
    if (pinned[name] !== version) { console.error(`${what}: package.json pins ${pinned[name]}`); failed++; continue }
    if (!await accepted(name, v)) { console.error(`${what}: refused`); failed++; continue }
    if (await accepted(name, forged(v))) { console.error(`${what}: accepted although forged`); failed++; continue }
    passed++
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed || !passed ? 1 : 0
