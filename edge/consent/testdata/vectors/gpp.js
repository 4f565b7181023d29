// SPDX-License-Identifier: Apache-2.0

// Writes GPP strings with the IAB's encoder, and what its decoder reads in them.
'use strict';

const { chance, print } = require('./chance.js');
const { GppModel, Sections } = require('@iabgpp/cmpapi');

const c = chance(1926);
const day = 24 * 3600 * 1000;
const uses = ['usnat', 'usca', 'usva', 'usco', 'usut', 'usct', 'usfl', 'usmt', 'usor', 'ustx', 'usde', 'usia', 'usne', 'usnh', 'usnj', 'ustn', 'usmn', 'usmd', 'usin', 'usky', 'usri'];

// A US section with every field of it set: to value, or by chance where it is undefined.
const us = (model, name, { value, gpc, version } = {}) => {
  model.setFieldValue(name, 'SaleOptOut', 0); // makes the section
  if (version) model.setFieldValue(name, 'Version', version);
  const section = model.getSection(name);
  for (const [field, was] of Object.entries(section)) {
    if (/Version$|^Gpc/.test(field)) continue;
    const least = field === 'MspaCoveredTransaction' ? 1 : 0;
    const one = () => (value === undefined ? least + c.below(3 - least) : Math.max(least, value));
    model.setFieldValue(name, field, Array.isArray(was) ? was.map(one) : one());
  }
  const optional = 'Gpc' in section ? 'GpcSegmentIncluded' : 'SensitiveDataProcessing' in section && !('Version' in section) ? 'SensitiveDataConsentSegmentIncluded' : '';
  if (optional) model.setFieldValue(name, optional, gpc !== undefined);
  if ('Gpc' in section && gpc !== undefined) model.setFieldValue(name, 'Gpc', gpc);
};

const lists = [() => [], () => [1], () => [65535], () => c.ids(40, 0.4), () => c.ids(900, 0.01), () => Array.from({ length: 200 }, (_, i) => i + 3), () => [1, 2, 3, 7, 60000]];
const bits = (n) => Array.from({ length: n }, () => c.yes());
const date = () => new Date(Date.UTC(2025, 8, 1) + c.below(450) * day);

// The restrictions' class keeps its ids in order and has the names that its JSON has.
const { RangeEntry } = require('@iabgpp/cmpapi');
const restrictions = () => Array.from({ length: c.below(4) }, (_, i) => new RangeEntry(1 + i, c.below(3), c.pick([[4], [1, 2, 3], [5, 9, 700]])));

const tcfeu = (model) => {
  const set = (field, value) => model.setFieldValue('tcfeuv2', field, value);
  set('CmpId', c.below(4096)); set('CmpVersion', c.below(4096)); set('ConsentScreen', c.below(64)); set('ConsentLanguage', c.pick(['EN', 'SV']));
  set('VendorListVersion', c.below(4096)); set('PolicyVersion', c.pick([4, 5])); set('UseNonStandardStacks', c.yes()); set('IsServiceSpecific', true);
  set('SpecialFeatureOptins', bits(12)); set('PurposeConsents', bits(24)); set('PurposeLegitimateInterests', bits(24));
  set('PurposeOneTreatment', c.yes()); set('PublisherCountryCode', c.pick(['AA', 'SE']));
  set('VendorConsents', c.pick(lists)()); set('VendorLegitimateInterests', c.pick(lists)()); set('VendorsDisclosed', c.pick(lists)());
  set('PublisherRestrictions', restrictions()); set('PublisherConsents', bits(24)); set('PublisherLegitimateInterests', bits(24));
  const n = c.pick([0, 1, 9]);
  set('NumCustomPurposes', n); set('PublisherCustomConsents', bits(n)); set('PublisherCustomLegitimateInterests', bits(n));
  set('Created', date());
};

const tcfca = (model) => {
  const set = (field, value) => model.setFieldValue('tcfcav1', field, value);
  set('CmpId', c.below(4096)); set('CmpVersion', c.below(4096)); set('ConsentScreen', c.below(64)); set('ConsentLanguage', c.pick(['EN', 'FR']));
  set('VendorListVersion', c.below(4096)); set('TcfPolicyVersion', c.pick([2, 4])); set('UseNonStandardStacks', c.yes());
  set('SpecialFeatureExpressConsent', bits(12)); set('PurposesExpressConsent', bits(24)); set('PurposesImpliedConsent', bits(24));
  set('VendorExpressConsent', c.pick(lists)()); set('VendorImpliedConsent', c.pick(lists)()); set('DisclosedVendors', c.pick(lists)());
  set('PubRestrictions', restrictions()); set('PubPurposesExpressConsent', bits(24)); set('PubPurposesImpliedConsent', bits(24));
  const n = c.pick([0, 1, 9]);
  set('NumCustomPurposes', n); set('CustomPurposesExpressConsent', bits(n)); set('CustomPurposesImpliedConsent', bits(n));
  const at = date();
  set('Created', at); set('LastUpdated', at);
};

const usp = (model, letters) => ['Notice', 'OptOutSale', 'LspaCovered'].forEach((field, i) => model.setFieldValue('uspv1', field, letters[i]));

const vectors = [];
const add = (name, model) => {
  const text = typeof model === 'string' ? model : model.encode();
  const read = new GppModel(text);
  vectors.push({ name, text, header: read.getHeader(), sections: read.toObject() });
};
const one = (make) => { const model = new GppModel(); make(model); return model; };

for (const name of uses) {
  for (const value of [0, 1, 2]) add(`${name}, every value ${value}`, one((m) => us(m, name, { value })));
  add(`${name}, no optional segment`, one((m) => us(m, name)));
  add(`${name}, its optional segment without GPC`, one((m) => us(m, name, { gpc: false })));
  add(`${name}, its optional segment with GPC`, one((m) => us(m, name, { gpc: true })));
}
for (let i = 0; i < 6; i++) add(`usnat version 1, ${i}`, one((m) => us(m, 'usnat', { version: 1, value: i < 3 ? i : undefined, gpc: i % 2 ? true : undefined })));
for (const letters of ['YNN', 'YYN', 'NNN', '---', 'Y-Y', 'YYY']) add(`uspv1 1${letters}`, one((m) => usp(m, letters)));
for (let i = 0; i < 12; i++) add(`tcfeuv2 ${i}`, one(tcfeu));
for (let i = 0; i < 16; i++) add(`tcfcav1 ${i}`, one(tcfca));
for (let i = 0; i < 20; i++) {
  add(`several sections ${i}`, one((m) => {
    if (c.yes()) tcfeu(m);
    if (c.yes()) tcfca(m);
    if (c.yes()) usp(m, c.pick(['YNN', 'YYN']));
    for (const name of uses) if (c.yes(0.3)) us(m, name, { gpc: c.pick([undefined, true, false]) });
  }));
}
add('every section', one((m) => { tcfeu(m); tcfca(m); usp(m, 'YNY'); for (const name of uses) us(m, name, { gpc: true }); }));
add('no section', 'DBAA');
add('a header that fills no whole bytes, as older encoders write it', 'DBABL~BVVqAAAAAgA');
if (vectors[vectors.length - 3].header.SectionIds.length !== Sections.SECTION_ORDER.length) throw new Error('a section is missing');

print(vectors);
