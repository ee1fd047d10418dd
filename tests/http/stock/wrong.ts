/* SPDX-License-Identifier: Apache-2.0 */
/* What the description does not have is no program. */
import createClient from 'openapi-fetch';
import type { paths } from './schema.js';

const client = createClient<paths>({ baseUrl: '' });
await client.GET('/api/events', { params: { query: { offset: 1 } } });
await client.GET('/api/nothing');
