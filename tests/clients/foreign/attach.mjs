// Attach a file to an image with sigstore's OCI client, which answers with the manifest's descriptor.
//
//     node attach.mjs NODE_MODULES HOST/REPOSITORY DIGEST FILE MEDIA_TYPE

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [modules, imageName, imageDigest, file, mediaType] = process.argv.slice(2);
const { attachArtifactToImage } = createRequire(`${modules}/`)('@sigstore/oci');
const artifact = readFileSync(file);
console.log(JSON.stringify(await attachArtifactToImage({ imageName, imageDigest, artifact, mediaType })));
