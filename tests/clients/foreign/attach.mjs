// Attach a file to an image with sigstore's OCI client, which answers with the manifest's descriptor.
//
//     node attach.mjs NODE_MODULES HOST/REPOSITORY DIGEST FILE MEDIA_TYPE [USER PASSWORD]

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [modules, imageName, imageDigest, file, mediaType, username, password] = process.argv.slice(2);
const { attachArtifactToImage } = createRequire(`${modules}/`)('@sigstore/oci');
const artifact = readFileSync(file);
const credentials = username && { headers: {}, username, password };
const image = { imageName, imageDigest, credentials };
console.log(JSON.stringify(await attachArtifactToImage({ ...image, artifact, mediaType })));
