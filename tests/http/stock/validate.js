/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a description is OpenAPI, by the schema of its version: validate.js FILE */
import fs from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';

const validator = new Validator();
const { valid, errors } = await validator.validate(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')));
console.log(valid ? `valid ${validator.version}` : JSON.stringify(errors));
