#!/bin/sh
# The scaled-down reproduction: from public files to reports, in one command.
#
#   docs/results/reproduction/reproduce.sh DATA FOLDER
#
# DATA has the folders rfam14_2_seed, riboswitch32, nrc13, ncypred, rrna_sortmerna, mirbase, trna_gtrnadb, human_noncoding,
# crispr_ontarget, rbp_clip31, contact_map_spotrna2d, bprna, dbn_collection and m6a_yeast, and for the protein half orthobench_refog, proteomes_ppi, prokka_db, deeploc1, deeploc2,
# flip_secondary_structure, flip_conservation, cb513 and ppi_yeast_pipr. Everything is made in FOLDER; interrupted, the
# same command goes on.
set -eu
data=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
cd "$2"
export BIOPRUNE_WORKSPACE="$PWD/workspace"

# Tasks are named relative to the experiment's file. CLIP sites: one protein's two files in a folder of their own.
ln -sfn "$data" data
mkdir -p tasks/rbp tasks/rna-structure
ln -sf "$data"/rbp_clip31/1_PARCLIP_AGO1234_hg19.t*.fa.gz tasks/rbp/
ln -sf "$data"/bprna/* "$data/dbn_collection/bpRNA-1m_90_short.dbn.gz" tasks/rna-structure/
cp "$here"/*.toml .

bioprune ingest "$data/rfam14_2_seed/Rfam14.2_seed.by_family.fasta.gz" "$data/riboswitch32" \
    "$data/nrc13/dataset_Rfam_6320_13classes.fasta.gz" "$data/nrc13/dataset_Rfam_validated_2400_12classes.fasta.gz" \
    "$data/nrc13/dataset_Rfam_validated_2600_13classes.fasta.gz" "$data/ncypred/test-set-corrected.fasta.gz" \
    "$data/rrna_sortmerna" "$data/mirbase/mirbase_v21_hairpin_mi-data.tsv.gz" "$data/trna_gtrnadb/GtRNAdb.fasta.gz" \
    "$data/human_noncoding/Human_noncoding_transcripts_RNA.fa.gz" \
    "$data/human_noncoding/Human_test_noncoding_RNA.fa.gz" \
    --project reproduction --dataset rna-200k --alphabet rna --minimum-length 20 --maximum-length 1022 \
    --label-pattern '^(RF[0-9]+)'

# What stands for the pretrained model: RNA-FM's architecture, from scratch, on the pool.
bioprune pretrain --project reproduction --dataset rna-200k --name pretrained --architecture rna-fm --scale tiny \
    --steps 3000 --token-budget 4096 --learning-rate 2e-3 --warmup 0.1 --seed 100

bioprune score --project reproduction --dataset rna-200k --model pretrained --subset 20000 --epochs 1 \
    --no-diagnostics --name adapted
bioprune score --project reproduction --dataset rna-200k --model pretrained --subset 20000 --epochs 0 \
    --no-diagnostics --name as-given

# The protein half. Orthogroups come first: a protein that other files have as well keeps its family as label.
mkdir -p orthogroups tasks/localisation tasks/protein-structure
tar xzf "$data/orthobench_refog/refog_sequences.tar.gz" -C orthogroups
ln -sf "$data"/deeploc1/* "$data"/deeploc2/* tasks/localisation/
ln -sfn "$data/flip_secondary_structure" tasks/protein-structure/flip_secondary_structure
ln -sf "$data/cb513/CB513.csv.gz" tasks/protein-structure/
bioprune ingest orthogroups "$data/proteomes_ppi" "$data/prokka_db" "$data"/deeploc2/outer*.csv.gz "$data/deeploc1" \
    "$data/flip_secondary_structure/sequences.fasta.gz" "$data/flip_conservation/sequences.fasta.gz" \
    "$data/ppi_yeast_pipr/protein.dictionary.tsv.gz" \
    --project reproduction --dataset protein-95k --alphabet protein --minimum-length 20 --maximum-length 1022 \
    --label-from-file-name
bioprune pretrain --project reproduction --dataset protein-95k --name protein-pretrained --architecture esm-c --scale tiny \
    --steps 3000 --token-budget 4096 --learning-rate 2e-3 --warmup 0.1 --seed 100 --precision bf16
bioprune score --project reproduction --dataset protein-95k --model protein-pretrained --subset 10000 --epochs 1 \
    --no-diagnostics --name protein-adapted
bioprune score --project reproduction --dataset protein-95k --model protein-pretrained --subset 10000 --epochs 0 \
    --no-diagnostics --name protein-as-given

# Its networks train in bf16, which needs a GPU or a processor with AMX or AVX512-BF16; elsewhere take both
# settings of `precision` out of the files. On a processor start `experiment run` once a core, each with OMP_NUM_THREADS=1.
for experiment in rna rna-ablation rna-long rna-variants protein protein-ablation; do
    bioprune experiment run "$experiment.toml"
    bioprune experiment report "$experiment.toml" --output "report-$experiment"
done
